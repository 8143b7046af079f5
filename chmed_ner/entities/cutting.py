"""A long sentence (a document) and the pieces of it that a model reads one by one."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from chmed_ner.entities.bio import tags_of
from chmed_ner.entities.types import Sentence, Span

Piece = tuple[int, Sentence]
"""Where a piece starts in its sentence, and the piece."""


def pieces(sentence: Sentence, whole: Container[str] = ()) -> tuple[Piece, ...]:
    """The pieces between the cuts, without blank ones; an entity across a cut is in none of them.

    The sentence itself where it has no cut, or `whole` holds its id.
    """
    if not sentence.cuts or sentence.id in whole:
        return ((0, sentence),)
    bounds = pairwise((0, *sentence.cuts, len(sentence.text)))
    return tuple(
        (start, _piece(sentence, f"{sentence.id}#{number}", start, end))
        for number, (start, end) in enumerate(bounds)
        if not sentence.text[start:end].isspace()
    )


def _piece(sentence: Sentence, id_: str, start: int, end: int) -> Sentence:
    entities = tuple(
        span.moved(-start) for span in sentence.entities if start <= span.start and span.end <= end
    )
    return replace(
        sentence,
        id=id_,
        text=sentence.text[start:end],
        tags=None if sentence.tags is None else tags_of(entities, end - start),
        entities=entities,
        model_text=sentence.model_text[start:end],
        cuts=(),
    )


def cut(sentences: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """What a model reads of the sentences, in order."""
    return tuple(piece for sentence in sentences for _, piece in pieces(sentence))


def joined(sentence: Sentence, found: Mapping[str, Sequence[Span]]) -> tuple[Span, ...]:
    """The entities found in a sentence, or in its pieces (by id), at their places in its text."""
    return tuple(
        span.moved(start) for start, piece in pieces(sentence, found) for span in found[piece.id]
    )


def across_cuts(sentence: Sentence) -> int:
    """How many of its entities no piece holds."""
    return len(sentence.entities) - sum(len(piece.entities) for _, piece in pieces(sentence))
