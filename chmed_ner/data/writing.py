"""Annotated documents in the formats that other people's programs read.

Offsets are `[start, end)` in code points, as Label Studio and brat keep them; doccano alone counts
UTF-16 units, in which a character beyond U+FFFF (an emoji, a rare ideograph) has two.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

from chmed_ner.data.documents import Annotated, Document, sentences_of
from chmed_ner.data.predictions import prediction_record
from chmed_ner.entities import AnnotatedText, Prediction, Span, layers, tags_of
from chmed_ner.errors import InputError
from chmed_ner.files import json_line, replacing

log = logging.getLogger(__name__)

Writer = Callable[[Iterable[Annotated]], Iterator[str]]


def jsonl(documents: Iterable[Annotated]) -> Iterator[str]:
    """One JSON object a document, as in `predictions.jsonl`, without split and genre."""
    for each in documents:
        yield json_line(prediction_record(each.prediction, split=False))


def doccano(documents: Iterable[Annotated]) -> Iterator[str]:
    """doccano's JSON lines, for a project of sequence labelling; offsets in UTF-16 units.

    Where entities lie over one another, the project must allow overlapping spans.
    """
    for each in documents:
        text = each.document.text
        units = [0, *accumulate(1 + (character > "\uffff") for character in text)]
        label = [[units[s.start], units[s.end], s.type] for s in each.prediction.entities]
        yield json_line({"id": each.prediction.id, "text": text, "label": label})


def label_studio(documents: Iterable[Annotated]) -> Iterator[str]:
    """Label Studio's JSON list of tasks, for a `<Text name="text" value="$text"/>` with a
    `<Labels name="label" toName="text">`: annotations where people made them, else predictions; a
    region's score is its confidence, a task's that of its least sure entity."""
    between = "[\n"
    for each in documents:
        text, found = each.document.text, each.prediction
        result = [_region(number, text, span) for number, span in enumerate(found.entities)]
        sure = [span.confidence for span in found.entities if span.confidence is not None]
        score = {"score": min(sure)} if sure else {}
        model = {} if each.gold else {"model_version": "chmed_ner", **score}
        task = {
            "data": {"id": found.id, "text": text},
            "annotations" if each.gold else "predictions": [{**model, "result": result}],
        }
        yield between + json_line(task).rstrip("\n")
        between = ",\n"
    yield "\n]\n" if between == ",\n" else "[]\n"


def _region(number: int, text: str, span: Span) -> dict[str, Any]:
    value = {"start": span.start, "end": span.end, "text": text[span.start : span.end]}
    place = {"id": str(number), "from_name": "label", "to_name": "text", "type": "labels"}
    score = {} if span.confidence is None else {"score": span.confidence}
    return {**place, **score, "value": {**value, "labels": [span.type]}}


def bio(documents: Iterable[Annotated]) -> Iterator[str]:
    """The official column format: character, space, tag; an empty line after each document, and
    after each line of it, whose end a column cannot hold. InputError: entities over one another."""
    for each in documents:
        text = each.document.text
        lines = [line.span() for line in re.finditer("[^\n]*\n|[^\n]+", text)]
        sentences = _sentences(each, lines, lambda character: character != "\n")
        written = ("".join(f"{text[at]} {tag}\n" for at, tag in rows) for rows in sentences)
        yield "".join(f"{rows}\n" for rows in written) or "\n"


def conll(documents: Iterable[Annotated]) -> Iterator[str]:
    """CoNLL-2003's layout: `-DOCSTART- -X- O O` before a document, an empty line after each
    sentence; character, its offsets `[start, end)` in the document, BIO tag; no white space.
    InputError: entities over one another."""
    for each in documents:
        text = each.document.text
        sentences = _sentences(each, each.sentences, lambda character: not character.isspace())
        written = ("".join(f"{text[at]} {at} {at + 1} {tag}\n" for at, tag in rows)
                   for rows in sentences)  # fmt: skip
        yield "-DOCSTART- -X- O O\n\n" + "".join(f"{rows}\n" for rows in written)


def _sentences(
    each: Annotated, bounds: Iterable[tuple[int, int]], held: Callable[[str], bool]
) -> Iterator[list[tuple[int, str]]]:
    """Position and tag of the characters that a column can hold, a sentence after the other; none
    ends inside an entity. An entity begins at the first of its characters that is there."""
    text, spans = each.document.text, each.prediction.entities
    seen = [position for position, character in enumerate(text) if held(character)]
    place = {position: number for number, position in enumerate(seen)}
    kept: list[Span] = []
    for span in spans:
        _check_type(each, span.type)
        there = [place[at] for at in range(span.start, span.end) if at in place]
        kept += [Span(there[0], there[-1] + 1, span.type)] if there else []
    if lost := len(spans) - len(kept):
        log.warning("text %s: %d entities of white space left out", each.prediction.id, lost)
    try:
        tags = dict(zip(seen, tags_of(kept, len(seen)), strict=True))
    except ValueError as error:
        raise InputError(
            f"text {each.prediction.id}: {error}, which BIO tags cannot say; write brat, doccano, "
            "label_studio or jsonl, or convert the outermost alone (--outermost)"
        ) from None
    inside = {position for span in spans for position in range(span.start + 1, span.end)}
    rows: list[tuple[int, str]] = []
    for start, end in bounds:
        if rows and start not in inside:
            yield rows
            rows = []
        rows += [(position, tags[position]) for position in range(start, end) if position in tags]
    if rows:
        yield rows


def _check_type(each: Annotated, type_: str) -> None:
    if type_.split() != [type_]:
        raise InputError(
            f"text {each.prediction.id}: the type {type_!r} has white space, at which columns and "
            "brat end; name it without, or write doccano, label_studio or jsonl"
        )


def brat(documents: Iterable[Annotated]) -> Iterator[str]:
    """brat standoff lines; offsets are code points of the input file, line ends included.

    An entity over a line end is written in pieces, as brat does.
    """
    number, offset = 0, 0
    for each in documents:
        text, lines = each.document.text, []
        for span in each.prediction.entities:
            _check_type(each, span.type)
            number += 1
            pieces = list(re.finditer("[^\n]+", text[span.start : span.end]))
            first = offset + span.start
            place = ";".join(f"{first + piece.start()} {first + piece.end()}" for piece in pieces)
            mention = " ".join(piece.group() for piece in pieces)
            lines.append(f"T{number}\t{span.type} {place}\t{mention}\n")
        yield "".join(lines)
        offset += len(text) + len(each.document.end)


ANNOTATION_FORMATS: Mapping[str, Writer] = {
    "jsonl": jsonl,
    "bio": bio,
    "brat": brat,
    "conll": conll,
    "doccano": doccano,
    "label_studio": label_studio,
}


def as_gold(texts: Iterable[AnnotatedText], *, outermost: bool = False) -> Iterator[Annotated]:
    """What people annotated, as documents to be written; a text without an id has its number.

    `outermost`: no entity over another; what is left out is counted in a warning.
    """
    left_out = 0
    for number, each in enumerate(texts):
        spans = layers(each.entities)[0] if outermost else each.entities
        left_out += len(each.entities) - len(spans)
        found = Prediction(each.id or str(number), "", "", each.text, spans)
        yield Annotated(Document(each.text, "\n"), found, tuple(sentences_of(each.text)), gold=True)
    if left_out:
        log.warning("%d entities inside others, or crossing them, are left out", left_out)


def write_annotations(
    path: Path | None, style: str, documents: Iterable[Annotated], first: str = ""
) -> None:
    """Write a file, atomically, which begins with `first`; `brat`: a new folder, a text with its
    annotations a document; None: standard output, each document as soon as it is there.

    InputError: the file or folder cannot be written, or the format cannot say what is there.
    """
    # UTF-8 whatever the locale says; lone surrogates as they came in
    texts = chain([first], ANNOTATION_FORMATS[style](documents))
    written = (text.encode("utf-8", "surrogatepass") for text in texts)
    if path is None:
        for content in written:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        return
    try:
        if style == "brat":
            _write_brat(path, documents)
            return
        with replacing(path, "wb") as file:
            file.writelines(written)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


_DROPPED = re.compile("\\A\ufeff|\r")
_FILE_NAME = re.compile(r"\w[\w.-]*")


def _write_brat(folder: Path, documents: Iterable[Annotated]) -> None:
    """`ID.txt` and `ID.ann` for each document; numbers where its id is no name of a file.

    A carriage return, or a byte order mark at the beginning, becomes a space: programs that read
    texts drop it, and every offset after it would move.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(documents):
        id_ = each.prediction.id
        name = id_ if _FILE_NAME.fullmatch(id_) and not id_.isdigit() else f"{number:05d}"
        if (folder / f"{name}.txt").exists():
            raise InputError(f"{folder}: two documents have the id {id_!r}; give each its own")
        document = replace(each.document, text=_DROPPED.sub(" ", each.document.text))
        marks = "".join(brat([replace(each, document=document)]))
        for ending, text in (("txt", document.text), ("ann", marks)):
            (folder / f"{name}.{ending}").write_bytes(text.encode("utf-8", "surrogatepass"))
