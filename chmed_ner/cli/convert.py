"""`chmed-ner convert`: annotated texts from one format to another, every offset kept."""

import argparse
import sys
from pathlib import Path

from chmed_ner.cli.options import check_target
from chmed_ner.data import ANNOTATION_FORMATS, FORMATS, as_gold, read_annotated, write_annotations
from chmed_ner.errors import InputError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("input", metavar="IN", help="a file; of brat a folder")
    parser.add_argument("output", metavar="OUT", help="a new file, -, or for brat a folder")
    parser.add_argument("--from", dest="source", choices=FORMATS, required=True)
    parser.add_argument("--to", dest="target", choices=ANNOTATION_FORMATS, required=True)
    parser.add_argument(
        "options",
        nargs="*",
        metavar="KEY=VALUE",
        help="how IN is to be read where that is not recognised, such as end=inclusive (the keys "
        "of a dataset that has a format)",
    )
    parser.add_argument(
        "--outermost",
        action="store_true",
        help="of entities over one another write the outermost, of those that cross the first",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write OUT; say what was recognised in IN and how much was written."""
    source, output = Path(arguments.input), arguments.output
    check_target(None if arguments.target == "brat" else output, [source], key="OUT")
    found = read_annotated(source, arguments.source, _options(arguments.options))
    documents = as_gold(found.texts, outermost=arguments.outermost)
    printed = output == "-" and arguments.target != "brat"
    write_annotations(None if printed else Path(output), arguments.target, documents)
    entities = sum(len(each.entities) for each in found.texts)
    for note in found.notes:
        print(note, file=sys.stderr)
    for name, count in {"texts": len(found.texts), "entities": entities, **found.counts}.items():
        print(f"{name}: {count:,}", file=sys.stderr)
    return 0


def _options(words: list[str]) -> dict[str, object]:
    pairs = [word.split("=", maxsplit=1) for word in words]
    if wrong := [pair[0] for pair in pairs if len(pair) == 1]:
        raise InputError(f"{wrong[0]}: give KEY=VALUE, such as end=inclusive")
    return {key: int(value) if value.isdecimal() else value for key, value in pairs}
