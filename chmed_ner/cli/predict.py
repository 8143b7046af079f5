"""`chmed-ner predict`: raw text in, one document a line; entities out, offsets in the original."""

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from chmed_ner.cli.options import add_trust, check_target
from chmed_ner.data import (
    ANNOTATION_FORMATS,
    MAX_CHARACTERS,
    PSEUDO_LABELS,
    annotate,
    labeller_line,
    read_documents,
    write_annotations,
)
from chmed_ner.errors import InputError
from chmed_ner.score import CERTAINTY

_OVERRIDE = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@]*=")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="FILE or OVERRIDE",
        help="text, a document a line; - (the default) is standard input; and, without --run, the "
        "settings, such as backbone=qwen3_0_6b labels@dataset.labels=health10",
    )
    parser.add_argument(
        "--run",
        help="a run directory, an MLflow run id, latest or best; without it the backbone as it is",
    )
    add_trust(parser)
    for figure, of in (("precision", "of what is kept is right"), ("recall", "of gold is kept")):
        parser.add_argument(
            f"--{figure}",
            type=float,
            metavar="SHARE",
            help=f"leave out entities that are not sure enough, such that at least SHARE (0 to 1) "
            f"{of}; shown on the run's validation sentences, else refused",
        )
    parser.add_argument(
        "--certainty",
        type=float,
        default=CERTAINTY,
        metavar="SHARE",
        help=f"how certain --precision or --recall must be (default {CERTAINTY})",
    )
    parser.add_argument(
        "--keep-answers",
        action="store_true",
        help="keep an endpoint's answers, with the text asked about, in paths.cache, so that the "
        "same text is not paid for twice; else predict keeps neither",
    )
    parser.add_argument(
        "--format",
        choices=[*ANNOTATION_FORMATS, PSEUDO_LABELS],
        default="jsonl",
        help=f"{PSEUDO_LABELS}: jsonl to train on (dataset.{PSEUDO_LABELS}=FILE), which also says "
        "what the run itself was trained on",
    )
    parser.add_argument(
        "--out",
        metavar="PATH",
        help="write this file, or with --format brat this folder of texts and annotations",
    )
    parser.add_argument(
        "--max-characters",
        type=int,
        default=MAX_CHARACTERS,
        metavar="N",
        help=f"cut a longer line after its sentences, those at ； or ， (default {MAX_CHARACTERS})",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write the predictions, to standard output each as soon as it is there."""
    from chmed_ner.run import extractor, load

    if arguments.max_characters < 1:
        raise InputError(f"--max-characters {arguments.max_characters}: give 1 or more")
    overrides = [word for word in arguments.words if _OVERRIDE.match(word)]
    files = [word for word in arguments.words if word not in overrides] or ["-"]
    if len(files) > 1:
        raise InputError(f"{files[1]}: one file at a time; {files[0]} is named already")
    (name,) = files
    if arguments.format == PSEUDO_LABELS and (arguments.precision or arguments.recall):
        raise InputError(
            f"--format {PSEUDO_LABELS}: an entity that is left out would be learnt as none; leave "
            "out --precision and --recall: dataset.pseudo_confidence keeps what is sure"
        )
    folder = arguments.format == "brat"
    check_target(None if folder else arguments.out, [Path(name)], key="--out")
    run = _run(arguments, overrides)  # before it waits for standard input
    with ExitStack() as stack:
        stream = _opened(name, stack)
        if run is None:
            model = extractor(*overrides, keep_answers=arguments.keep_answers)
        else:
            model = load(
                run,
                precision=arguments.precision,
                recall=arguments.recall,
                certainty=arguments.certainty,
                trust_endpoint=arguments.trust_endpoint,
                keep_answers=arguments.keep_answers,
            )
        stack.enter_context(model)
        annotated = annotate(model, read_documents(stream, name), arguments.max_characters)
        out = None if arguments.out is None else Path(arguments.out)
        if arguments.format == PSEUDO_LABELS:
            write_annotations(out, "jsonl", annotated, _labeller(run))
        else:
            write_annotations(out, arguments.format, annotated)
    return 0


def _run(arguments: argparse.Namespace, overrides: Sequence[str]) -> Path | None:
    if (arguments.run is None) != bool(overrides):
        raise InputError(
            "give either --run RUN (a run directory, an MLflow run id, latest or best), which has "
            "its settings, or settings, such as backbone=qwen3_0_6b (a file named so is ./NAME)"
        )
    if arguments.run:
        from chmed_ner.track import find_run

        return find_run(arguments.run)
    if arguments.precision is not None or arguments.recall is not None:
        raise InputError(
            "--precision and --recall rest on a run's validation sentences; name one with --run"
        )
    return None


def _labeller(run: Path | None) -> str:
    """The first line of a file to train on."""
    if run is None:
        return labeller_line("a model without training", {})
    from chmed_ner.track import RunRecord

    record = RunRecord.read(run)
    return labeller_line(record.name, record.training_files)


def _opened(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        if sys.stdin is None:
            raise InputError("standard input is closed: name a file, or pipe a text in")
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from None
