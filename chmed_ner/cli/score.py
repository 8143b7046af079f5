"""`chmed-ner score`: the official scores of official-format files."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from chmed_ner.cli.options import add_json, check_target, write_and_print
from chmed_ner.data import ColumnFile, check_same_characters, read_rows
from chmed_ner.errors import InputError
from chmed_ner.score import OfficialScores, score_sentences, score_table, scores_json

log = logging.getLogger(__name__)

_USE = "give GOLD PRED, or --genre NAME GOLD PRED for each genre, not both"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add two files, or `--genre` for several pairs, and `--json`."""
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
    """Print the score table and write the JSON; InputError for bad files or words."""
    pairs = _pairs(arguments)
    check_target(arguments.json, [path for _, *files in pairs for path in files])
    scores = score_files(pairs)
    write_and_print(arguments.json, scores_json(scores), score_table(scores))
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


def score_files(pairs: Sequence[tuple[str, Path, Path]]) -> dict[str, OfficialScores]:
    """The official scores of (genre, gold file, predicted file) by genre.

    `tokens` counts blank lines too. InputError: a bad file, other characters, a genre named twice.
    """
    scores: dict[str, OfficialScores] = {}
    for genre, gold_path, predicted_path in pairs:
        if genre in scores:
            raise InputError(
                f"genre {genre!r} is named twice; give each pair of files its own name"
            )
        gold, predicted = (read_rows(path, scored=True) for path in (gold_path, predicted_path))
        check_same_characters(gold, predicted)
        _warn_of_bilou(gold)
        _warn_of_bilou(predicted)
        scores[genre] = score_sentences(gold.tags(), predicted.tags(), separators=gold.separators)
    return scores


def _warn_of_bilou(file: ColumnFile) -> None:
    """`conlleval` ends a chunk after E and S; U and L are to it as I is."""
    tags = (tag for sentence in file.tags() for tag in sentence)
    if odd := next((tag for tag in tags if tag.startswith(("U-", "L-"))), None):
        log.warning(
            "%s: %s is BILOU, of which the official scorer does not know U- and L-: neighbours of "
            "one type are one entity to it; write BIO: chmed-ner convert --from columns --to bio",
            file.path, odd,
        )  # fmt: skip
