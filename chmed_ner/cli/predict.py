"""`chmed-ner predict`: raw text in, one text a line; entities out, with offsets in the original."""

import argparse
import sys
from collections.abc import Iterable, Iterator
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
    from chmed_ner.records import find_run

    run = find_run(arguments.run)  # before it waits for standard input
    lines = _lines(arguments.file)
    predictor = load(run)
    try:
        predictions = predictor.predict([text for text, _ in lines])
    finally:
        predictor.close()
    if arguments.format == "brat":
        output = brat(predictions, [end for _, end in lines])
    else:
        output = {"jsonl": jsonl, "bio": bio}[arguments.format](predictions)
    for line in output:
        sys.stdout.write(line)
    return 0


def _lines(name: str) -> list[tuple[str, int]]:
    """The lines without their ends, and how many code points each end takes (LF 1, CR LF 2).

    Characters other than these are left as they are.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from None
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{name}, line {line}: not UTF-8; convert the file first") from None
    lines = content.split("\n")
    return [
        (line.removesuffix("\r"), 2 if line.endswith("\r") else 1)
        for line in (lines if lines[-1] else lines[:-1])
    ]


def jsonl(predictions: Iterable[Prediction]) -> Iterator[str]:
    """One JSON object a line, as in `predictions.jsonl`, without split and genre."""
    from chmed_ner.files import json_line
    from chmed_ner.predictions import as_record

    for prediction in predictions:
        yield json_line(as_record(prediction, split=False))


def bio(predictions: Iterable[Prediction]) -> Iterator[str]:
    """The official column format: character, space, tag; an empty line after each text."""
    from chmed_ner.bio import tags_of

    for prediction in predictions:
        tags = tags_of(prediction.entities, len(prediction.text))
        for character, tag in zip(prediction.text, tags, strict=True):
            yield f"{character} {tag}\n"
        yield "\n"


def brat(predictions: Iterable[Prediction], ends: Iterable[int]) -> Iterator[str]:
    """brat standoff lines; offsets are code points of the whole input, with its line ends."""
    number, offset = 0, 0
    for prediction, end in zip(predictions, ends, strict=True):
        for span in prediction.entities:
            number += 1
            mention = prediction.text[span.start : span.end]
            place = f"{span.type} {offset + span.start} {offset + span.end}"
            yield f"T{number}\t{place}\t{mention}\n"
        offset += len(prediction.text) + end
