"""`chmed-ner score`: the official scores of official-format files."""

import argparse
from pathlib import Path

from chmed_ner.cli.json_file import add_json, check_target, write_and_print
from chmed_ner.errors import InputError
from chmed_ner.score.files import score_files
from chmed_ner.score.official import as_json, table

HELP = "official scores of official-format files; several genres give the macro average"

_USE = "give GOLD PRED, or --genre NAME GOLD PRED for each genre, not both"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the two files, or `--genre` for several pairs, and `--json`."""
    parser.usage = "%(prog)s [-h] [--json FILE] (GOLD PRED | --genre NAME GOLD PRED [--genre ...])"
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="the gold file, then the predicted one"
    )
    parser.add_argument(
        "--genre",
        nargs=3,
        action="append",
        default=[],
        metavar=("NAME", "GOLD", "PRED"),
        help="a genre and its two files; repeat for the macro average over genres",
    )
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Print the score table and write the JSON; 0.

    Raises InputError for bad files (as `score_files`), for anything but the two forms of use, and
    for a JSON file that cannot be written or is one of the files scored.
    """
    pairs = _pairs(arguments)
    check_target(arguments.json, [path for _, *files in pairs for path in files])
    scores = score_files(pairs)
    write_and_print(arguments.json, as_json(scores), table(scores))
    return 0


def _pairs(arguments: argparse.Namespace) -> list[tuple[str, Path, Path]]:
    files: list[Path] = arguments.files
    if arguments.genre and files:
        raise InputError(f"both --genre and {str(files[0])!r} alone: {_USE}")
    if arguments.genre:
        return [(name, Path(gold), Path(predicted)) for name, gold, predicted in arguments.genre]
    if len(files) != 2:
        raise InputError(f"{len(files)} files given: {_USE}")
    return [("all", files[0], files[1])]
