"""`chmed-ner score`: the official scores of official-format files."""

import argparse
import json
from pathlib import Path

from chmed_ner.errors import InputError
from chmed_ner.files import write_json
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
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="also write the unrounded figures to FILE; - prints them instead of the table",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print the score table and write the JSON; 0.

    Raises InputError for bad files (as `score_files`), for anything but the two forms of use, and
    for a JSON file that cannot be written or is one of the files scored.
    """
    pairs = _pairs(arguments)
    target = None if arguments.json in (None, "-") else Path(arguments.json)
    if target is not None:
        _check_target(target, [path for _, gold, predicted in pairs for path in (gold, predicted)])
    scores = score_files(pairs)
    if target is not None:
        try:
            write_json(target, as_json(scores))
        except OSError as error:
            raise InputError(f"--json {target}: cannot be written ({error.strerror})") from None
    if arguments.json == "-":
        print(json.dumps(as_json(scores), ensure_ascii=False, indent=2))
    else:
        print(table(scores), end="")
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


def _check_target(target: Path, read: list[Path]) -> None:
    if target.is_dir():
        raise InputError(f"--json {target}: is a folder; name a file")
    if target.exists() and any(path.exists() and target.samefile(path) for path in read):
        raise InputError(f"--json {target}: is one of the files to score; name another")
