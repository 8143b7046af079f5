"""The CSV tables of a run's analysis: the same figures for each genre and for `all` of them.

Rates are in percent, unrounded. Every table's parts add up to the gold and predicted entities.
"""

import csv
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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

_PAIRED = KINDS[:4]
_ERRORS = (
    *("type", "gold", *(f"gold_{kind}" for kind in (*_PAIRED, "missed"))),
    *("predicted", *(f"predicted_{kind}" for kind in (*_PAIRED, "spurious"))),
)

Rows = Iterable[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One genre's test sentences, taken apart."""

    confusions: Mapping[Confusion, int]
    entity_length: Mapping[str, Scores]
    sentence_length: Mapping[str, Scores]
    seen: Mapping[str, Scores]
    one_character: Mapping[tuple[str, str], Scores]


def break_down(
    sentences: Sequence[ScoredSentence], training_mentions: Collection[str]
) -> Breakdown:
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


def write_tables(directory: Path, genres: Mapping[str, Breakdown], types: Sequence[str]) -> None:
    """Write each table to `directory`, UTF-8, atomically; `types` in the order of the rows."""
    tables: dict[str, tuple[Sequence[str], Callable[[Breakdown], Rows]]] = {
        "confusion": (
            ("gold", "predicted", "kind", "entities"),
            lambda each: _confusion_rows(each.confusions, types),
        ),
        "errors_by_type": (_ERRORS, lambda each: _error_rows(each.confusions, types)),
        "f1_by_entity_length": (("length", *FIGURES), lambda each: _parts(each.entity_length)),
        "f1_by_sentence_length": (("length", *FIGURES), lambda each: _parts(each.sentence_length)),
        "f1_by_seen": (("string", *FIGURES), lambda each: _parts(each.seen)),
        "one_character_entities": (
            ("string", "type", *FIGURES),
            lambda each: ((*part, *_figures(found)) for part, found in each.one_character.items()),
        ),
    }
    for name, (header, rows_of) in tables.items():
        with replacing(directory / f"{name}.csv") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("genre", *header))
            for genre, each in genres.items():
                writer.writerows((genre, *row) for row in rows_of(each))


def by_kind(found: Mapping[Confusion, int], side: int, type_: str | None) -> list[int]:
    """The entities of a type (None: of all) of gold (side 0) or prediction (1), and how many of
    them are correct, boundary, type, boundary_and_type, and missed (gold) or spurious (predicted).
    """
    counts = Counter[str]()
    for confusion, count in found.items():
        if confusion[side] is not None and type_ in (None, confusion[side]):
            counts[confusion[2]] += count
    parts = [counts[kind] for kind in (*_PAIRED, KINDS[4 + side])]
    return [sum(parts), *parts]


def _figures(scores: Scores) -> list[float]:
    return [getattr(scores, figure) for figure in FIGURES]


def _parts(found: Mapping[str, Scores]) -> Rows:
    return ((name, *_figures(scores)) for name, scores in found.items())


def _confusion_rows(found: Mapping[Confusion, int], types: Sequence[str]) -> Rows:
    """A row for each cell that is not empty, largest first; no gold type: spurious, no predicted
    type: missed."""
    order = {type_: number for number, type_ in enumerate((*types, None))}

    def place(item: tuple[Confusion, int]) -> tuple[int, ...]:
        (gold, predicted, kind), count = item
        return -count, order[gold], order[predicted], KINDS.index(kind)

    for (gold, predicted, kind), count in sorted(found.items(), key=place):
        yield gold or "", predicted or "", kind, count


def _error_rows(found: Mapping[Confusion, int], types: Sequence[str]) -> Rows:
    for type_ in (*types, None):
        yield type_ or ALL, *by_kind(found, 0, type_), *by_kind(found, 1, type_)
