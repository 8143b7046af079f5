"""The CSV tables of a run's analysis: the same figures for each genre and for `all` of them.

Rates are in percent, unrounded. Every table's parts add up to the gold and predicted entities.
"""

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chmed_ner.entities.types import Scores
from chmed_ner.files import replacing
from chmed_ner.score.breakdowns import (
    ScoredSentence,
    by_entity_length,
    by_seen,
    by_sentence_length,
    of_one_character,
)
from chmed_ner.score.error_kinds import KINDS, Confusion, confusions

ALL = "all"
"""The genre that stands for all of them together."""

FIGURES = ("gold", "predicted", "correct", "precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One genre's test sentences, taken apart."""

    confusions: Mapping[Confusion, int]
    entity_length: Mapping[str, Scores]
    sentence_length: Mapping[str, Scores]
    seen: Mapping[str, Scores]
    one_character: Mapping[tuple[str, str], Scores]


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV table."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]


def breakdown(sentences: Sequence[ScoredSentence], training_mentions: Collection[str]) -> Breakdown:
    """Every breakdown of these sentences."""
    found: Counter[Confusion] = Counter()
    for sentence in sentences:
        found.update(confusions(sentence.gold, sentence.predicted))
    return Breakdown(
        found,
        by_entity_length(sentences),
        by_sentence_length(sentences),
        by_seen(sentences, training_mentions),
        of_one_character(sentences),
    )


def summed(scores: Iterable[Scores]) -> Scores:
    """The counts of several parts together."""
    listed = list(scores)
    return Scores(
        sum(each.gold for each in listed),
        sum(each.predicted for each in listed),
        sum(each.correct for each in listed),
    )


def tables(genres: Mapping[str, Breakdown], types: Sequence[str]) -> dict[str, Table]:
    """Name (without suffix) -> table; `types` in the order of the rows."""
    return {
        "confusion": _confusion(genres, types),
        "errors_by_type": _errors(genres, types),
        "f1_by_entity_length": _parts(
            genres, "length", {genre: each.entity_length for genre, each in genres.items()}
        ),
        "f1_by_sentence_length": _parts(
            genres, "length", {genre: each.sentence_length for genre, each in genres.items()}
        ),
        "f1_by_seen": _parts(genres, "string", {g: each.seen for g, each in genres.items()}),
        "one_character_entities": Table(
            ("genre", "string", "type", *FIGURES),
            [
                [genre, *part, *figures(scores)]
                for genre, each in genres.items()
                for part, scores in each.one_character.items()
            ],
        ),
    }


def write_tables(directory: Path, found: Mapping[str, Table]) -> None:
    """Write each table as `directory/<name>.csv`, UTF-8, atomically."""
    for name, table in found.items():
        with replacing(directory / f"{name}.csv") as file:
            csv.writer(file, lineterminator="\n").writerows((table.header, *table.rows))


def figures(scores: Scores) -> list[float]:
    """The values of `FIGURES`."""
    return [getattr(scores, figure) for figure in FIGURES]


def _parts(
    genres: Mapping[str, Breakdown], part: str, found: Mapping[str, Mapping[str, Scores]]
) -> Table:
    return Table(
        ("genre", part, *FIGURES),
        [
            [genre, name, *figures(scores)]
            for genre in genres
            for name, scores in found[genre].items()
        ],
    )


def _confusion(genres: Mapping[str, Breakdown], types: Sequence[str]) -> Table:
    """A row for each cell that is not empty, largest first; no gold type: spurious, no predicted
    type: missed."""
    order = {type_: number for number, type_ in enumerate((*types, None))}
    kinds = {kind: number for number, kind in enumerate(KINDS)}
    rows = [
        [genre, gold or "", predicted or "", kind, count]
        for genre, each in genres.items()
        for (gold, predicted, kind), count in sorted(
            each.confusions.items(),
            key=lambda item: (-item[1], order[item[0][0]], order[item[0][1]], kinds[item[0][2]]),
        )
    ]
    return Table(("genre", "gold", "predicted", "kind", "entities"), rows)


def _errors(genres: Mapping[str, Breakdown], types: Sequence[str]) -> Table:
    rows = [
        [
            genre,
            type_ or ALL,
            *(n for side in (0, 1) for n in by_kind(each.confusions, side, type_)),
        ]
        for genre, each in genres.items()
        for type_ in (*types, None)
    ]
    shared = KINDS[:4]
    return Table(
        (
            *("genre", "type", "gold", *(f"gold_{kind}" for kind in (*shared, "missed"))),
            *("predicted", *(f"predicted_{kind}" for kind in (*shared, "spurious"))),
        ),
        rows,
    )


def by_kind(found: Mapping[Confusion, int], side: int, type_: str | None) -> list[int]:
    """The entities of a type (None: of all) of gold (side 0) or prediction (1), and how many of
    them are correct, boundary, type, boundary_and_type, and missed (gold) or spurious (predicted).
    """
    counts = Counter[str]()
    for confusion, count in found.items():
        if confusion[side] is not None and type_ in (None, confusion[side]):
            counts[confusion[2]] += count
    parts = [counts[kind] for kind in (*KINDS[:4], KINDS[4 + side])]
    return [sum(parts), *parts]
