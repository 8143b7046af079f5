"""`chmed-ner predict`: raw text in, one text a line; entities out, with offsets in the original."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from chmed_ner.errors import InputError
from chmed_ner.types import Prediction

HELP = "raw text in, entities out, with a finished run's model"

FORMATS = ("jsonl", "bio", "brat")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--run", required=True, help="a run directory, an MLflow run id, or latest")
    parser.add_argument(
        "file", nargs="?", default="-", help="text, one a line; - is standard input"
    )
    parser.add_argument("--format", choices=FORMATS, default="jsonl")


def execute(arguments: argparse.Namespace) -> int:
    """Write the predictions to standard output."""
    from chmed_ner.predict import load

    texts = _texts(arguments.file)
    predictor = load(arguments.run)
    try:
        predictions = predictor.predict(texts)
    finally:
        predictor.close()
    write = {"jsonl": _jsonl, "bio": _bio, "brat": _brat}[arguments.format]
    for line in write(predictions):
        sys.stdout.write(line)
    return 0


def _texts(name: str) -> list[str]:
    """The lines, without their ends; characters other than line feeds are left as they are."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from None
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{name}, line {line}: not UTF-8; convert the file first") from None
    lines = content.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines and not lines[-1] else lines


def _jsonl(predictions: Iterable[Prediction]) -> Iterator[str]:
    from chmed_ner.files import json_line
    from chmed_ner.predictions import as_record

    for prediction in predictions:
        yield json_line(as_record(prediction, split=False))


def _bio(predictions: Iterable[Prediction]) -> Iterator[str]:
    """The official column format: character, space, tag; an empty line after each text."""
    from chmed_ner.bio import tags_of

    for prediction in predictions:
        tags = tags_of(prediction.entities, len(prediction.text))
        for character, tag in zip(prediction.text, tags, strict=True):
            yield f"{character} {tag}\n"
        yield "\n"


def _brat(predictions: Sequence[Prediction]) -> Iterator[str]:
    """brat standoff lines; offsets are code points of the whole input, line feeds included."""
    number, offset = 0, 0
    for prediction in predictions:
        for span in prediction.entities:
            number += 1
            mention = prediction.text[span.start : span.end]
            place = f"{span.type} {offset + span.start} {offset + span.end}"
            yield f"T{number}\t{place}\t{mention}\n"
        offset += len(prediction.text) + 1
