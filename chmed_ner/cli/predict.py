"""`chmed-ner predict`: raw text in, one document a line; entities out, offsets in the original."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from chmed_ner.cli.options import add_place, place_of
from chmed_ner.errors import InputError

FORMATS = ("jsonl", "bio", "brat", "conll")
LONGEST = 512


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--run", required=True, help="a run directory, an MLflow run id, or latest")
    parser.add_argument(
        "file",
        nargs="?",
        default="-",
        help="text, a document a line; - (the default) is standard input",
    )
    add_place(parser)
    parser.add_argument("--format", choices=FORMATS, default="jsonl")
    parser.add_argument(
        "--max-characters",
        type=int,
        default=LONGEST,
        metavar="N",
        help=f"cut a longer line after its sentences, those at ； or ， (default {LONGEST})",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write the predictions to standard output, each as soon as it is there."""
    from chmed_ner.data.documents import annotate, read_documents
    from chmed_ner.data.predictions import FORMATS as WRITERS
    from chmed_ner.run.predict import load
    from chmed_ner.track.record import find_run

    if arguments.max_characters < 1:
        raise InputError(f"--max-characters {arguments.max_characters}: give 1 or more")
    run = find_run(arguments.run, output=place_of(arguments))  # before it waits for standard input
    with ExitStack() as stack:
        stream = _opened(arguments.file, stack)
        predictor = load(run)
        stack.callback(predictor.close)
        annotated = annotate(
            predictor, read_documents(stream, arguments.file), arguments.max_characters
        )
        for text in WRITERS[arguments.format](annotated):
            _write(text)
    return 0


def _opened(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from None


def _write(text: str) -> None:
    """UTF-8 whatever the locale says; lone surrogates as they came in."""
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
    sys.stdout.buffer.flush()
