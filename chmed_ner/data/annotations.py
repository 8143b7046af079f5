"""Annotated documents as files: JSON lines, the official columns, CoNLL, brat standoff."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from chmed_ner.data.documents import Annotated
from chmed_ner.data.predictions import as_record
from chmed_ner.entities.bio import tags_of
from chmed_ner.entities.types import Span
from chmed_ner.files import json_line

Writer = Callable[[Iterable[Annotated]], Iterator[str]]


def jsonl(documents: Iterable[Annotated]) -> Iterator[str]:
    """One JSON object a document, as in `predictions.jsonl`, without split and genre."""
    for each in documents:
        yield json_line(as_record(each.prediction, split=False))


def bio(documents: Iterable[Annotated]) -> Iterator[str]:
    """The official column format: character, space, tag; an empty line after each document."""
    for each in documents:
        text = each.document.text
        tags = tags_of(each.prediction.entities, len(text))
        lines = (f"{character} {tag}\n" for character, tag in zip(text, tags, strict=True))
        yield "".join(lines) + "\n"


def conll(documents: Iterable[Annotated]) -> Iterator[str]:
    """CoNLL-2003's layout: `-DOCSTART-` before a document, an empty line after each sentence.

    Four columns with tabs between: character, its offsets `[start, end)` in the document, BIO tag.
    White space is left out, as no column can hold it; the offsets show where it was.
    """
    for each in documents:
        text = each.document.text
        seen = [position for position, character in enumerate(text) if not character.isspace()]
        tags = dict(zip(seen, _visible_tags(each, seen), strict=True))
        lines = ["-DOCSTART-\t-\t-\tO\n\n"]
        for start, end in each.sentences:
            rows = [
                f"{text[position]}\t{position}\t{position + 1}\t{tags[position]}\n"
                for position in range(start, end)
                if position in tags
            ]
            lines += [*rows, "\n"] if rows else []
        yield "".join(lines)


def _visible_tags(each: Annotated, seen: list[int]) -> tuple[str, ...]:
    """A tag for each position in `seen`; an entity begins at the first of its that is there."""
    place = {position: number for number, position in enumerate(seen)}
    spans = []
    for span in each.prediction.entities:
        kept = [place[position] for position in range(span.start, span.end) if position in place]
        spans += [Span(kept[0], kept[-1] + 1, span.type)] if kept else []
    return tags_of(spans, len(seen))


def brat(documents: Iterable[Annotated]) -> Iterator[str]:
    """brat standoff lines for the complete file: all documents are one brat document.

    Its text is the input file as it is: offsets are code points of it, line ends (LF 1, CR LF 2)
    included.
    """
    number, offset = 0, 0
    for each in documents:
        text, lines = each.document.text, []
        for span in each.prediction.entities:
            number += 1
            place = f"{span.type} {offset + span.start} {offset + span.end}"
            lines.append(f"T{number}\t{place}\t{text[span.start : span.end]}\n")
        yield "".join(lines)
        offset += len(text) + len(each.document.end)


FORMATS: Mapping[str, Writer] = {"jsonl": jsonl, "bio": bio, "brat": brat, "conll": conll}
