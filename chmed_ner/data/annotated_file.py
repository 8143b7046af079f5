"""A file in one of the formats becomes sentences of a corpus with its label scheme."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from chmed_ner.data.columns import BIO_TAG, shown
from chmed_ner.data.documents import sentences_of
from chmed_ner.data.formats.annotations import Annotations
from chmed_ner.data.sources import Source
from chmed_ner.entities import (
    AnnotatedText,
    LabelScheme,
    Sentence,
    Span,
    layers,
    split_tag,
    tags_of,
)
from chmed_ner.errors import InputError

log = logging.getLogger(__name__)

Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedFile(Source):
    """A file (of brat: a folder), whose types are names or aliases of the scheme.

    `annotations` reads it; a text of more than `longest` characters gets cuts.
    """

    annotations: Callable[[Path], Annotations]
    longest: int | None

    def read(self, split: str, labels: LabelScheme) -> tuple[Sentence, ...]:
        """Its sentences, with the file's own ids if each has one; InputError for bad content."""
        found = self.annotations(self.path)
        for note in found.notes:
            log.info("%s: %s", self.path, note)
        if counts := {kind: count for kind, count in found.counts.items() if count}:
            said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
            log.warning("%s: %s", self.path, said)
        own = {text.id for text in found.texts}
        named = "" not in own and len(own) == len(found.texts)
        return tuple(
            self._sentence(
                text, f"{self.prefix}{text.id if named else f'{number:05d}'}", split, labels
            )
            for number, text in enumerate(found.texts)
        )

    def _sentence(self, text: AnnotatedText, id_: str, split: str, labels: LabelScheme) -> Sentence:
        (genre,) = self.genres
        cuts: list[int] = []
        if self.longest is not None and len(text.text) > self.longest:
            cuts = [start for start, _ in sentences_of(text.text, self.longest)][1:]
        sentence = Sentence(id_, split, genre, text.text, cuts=tuple(cuts))
        if not self.gold:
            return sentence
        entities = tuple(
            replace(span, type=self._tag(text, span, labels)) for span in text.entities
        )
        if overlap(entities) and not labels.nested:
            entities = self._outermost(text, entities, split)
        return replace(sentence, tags=_tags(text, entities, labels), entities=entities)

    def _outermost(self, text: AnnotatedText, entities: Spans, split: str) -> Spans:
        """What a flat scheme can learn; InputError for gold, which would be other gold."""
        problem = "entities overlap, but the label scheme is flat"
        cure = "correct them, or let entities lie in others: ++dataset.labels.nested=true"
        if split == "test":
            self._refuse(text, f"{problem}; {cure}")
        log.warning("%s: %s: the outermost are kept; %s", self._place(text), problem, cure)
        return layers(entities)[0]

    def _tag(self, text: AnnotatedText, span: Span, labels: LabelScheme) -> str:
        tag = labels.tag_of(span.type)
        if tag is None:
            self._refuse(
                text,
                f"{shown(text.text[span.start : span.end])}: type {shown(span.type)} is not in the "
                f"label scheme '{labels.name}' ({', '.join(labels.tags)}); correct it, add it "
                "to the aliases of a type, or take the types of the files: labels=auto",
                span.start if text.tags else 0,  # a line a character
            )
        return tag

    def _refuse(self, text: AnnotatedText, problem: str, further: int = 0) -> NoReturn:
        raise InputError(f"{self._place(text, further)}: {problem}")

    def _place(self, text: AnnotatedText, further: int = 0) -> str:
        return f"{self.path}, line {text.line + further}" if text.line else str(self.path)


def _tags(text: AnnotatedText, entities: Spans, labels: LabelScheme) -> tuple[str, ...] | None:
    """The file's own BIO tags, else those of the entities; None where these are nested."""
    if overlap(entities):
        return None
    if text.tags and all(map(BIO_TAG.fullmatch, text.tags)):
        return tuple(_renamed(tag, labels) for tag in text.tags)
    return tags_of(entities, len(text.text))


def _renamed(tag: str, labels: LabelScheme) -> str:
    """A tag of the file with the scheme's own name of its type."""
    prefix, type_ = split_tag(tag)
    return f"{prefix}-{labels.tag_of(type_) or type_}" if type_ else tag


def overlap(spans: Sequence[Span]) -> bool:
    """Do two of the spans, which are in text order, overlap?"""
    return any(one.end > other.start for one, other in pairwise(spans))
