"""`chmed-ner predict`: raw text in, one document a line; entities out, offsets in the original."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from chmed_ner.cli.options import add_place, add_trust, find
from chmed_ner.data import ANNOTATION_FORMATS, MAX_CHARACTERS, annotate, read_documents
from chmed_ner.errors import InputError


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
    add_trust(parser)
    parser.add_argument("--format", choices=ANNOTATION_FORMATS, default="jsonl")
    parser.add_argument(
        "--max-characters",
        type=int,
        default=MAX_CHARACTERS,
        metavar="N",
        help=f"cut a longer line after its sentences, those at ； or ， (default {MAX_CHARACTERS})",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write the predictions to standard output, each as soon as it is there."""
    from chmed_ner.run import load

    if arguments.max_characters < 1:
        raise InputError(f"--max-characters {arguments.max_characters}: give 1 or more")
    run = find(arguments.run, arguments)  # before it waits for standard input
    with ExitStack() as stack:
        stream = _opened(arguments.file, stack)
        predictor = load(run, trust_endpoint=arguments.trust_endpoint)
        stack.callback(predictor.close)
        annotated = annotate(
            predictor, read_documents(stream, arguments.file), arguments.max_characters
        )
        for text in ANNOTATION_FORMATS[arguments.format](annotated):
            # UTF-8 whatever the locale says; lone surrogates as they came in
            sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
            sys.stdout.buffer.flush()
    return 0


def _opened(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        if sys.stdin is None:
            raise InputError("standard input is closed: name a file, or pipe a text in")
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from None
