"""`analysis/` of a run: why it fails, as CSV tables and figures. README.md here lists the files."""

import csv
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chmed_ner.entities import LabelScheme, Scores, Sentence, Span
from chmed_ner.files import replacing, write_bytes
from chmed_ner.report.analysis.error_bars import error_figure
from chmed_ner.report.analysis.figures import (
    confusion_figure,
    length_figure,
    string_figure,
    types_in,
)
from chmed_ner.report.analysis.reliability import reliability_figure
from chmed_ner.report.figures import legible, pictures
from chmed_ner.score import (
    ALL,
    ERROR_KINDS,
    PAIRED,
    Bin,
    Breakdown,
    Confusion,
    ScoredSentence,
    bins,
    break_down,
    by_kind,
    entities_of,
    judge,
)

ANALYSIS_FOLDER = "analysis"
FIGURES = ("gold", "predicted", "correct", "precision", "recall", "f1")

_ERRORS = (
    *("type", "gold", *(f"gold_{kind}" for kind in (*PAIRED, "missed"))),
    *("predicted", *(f"predicted_{kind}" for kind in (*PAIRED, "spurious"))),
)

Rows = Iterable[Sequence[Any]]


def write_analysis(
    directory: Path,
    *,
    sentences: Sequence[Sentence],
    spans: Mapping[str, Sequence[Span]],
    training_mentions: Collection[str],
    labels: LabelScheme,
    formats: Sequence[str],
) -> None:
    """Write the tables of one run, and its figures in `formats`, to `directory/analysis`, each file
    atomically.

    A type outside the scheme comes last, by its tag. Without `sentences` nothing is written.
    """
    if not sentences:
        return
    scored: dict[str, list[ScoredSentence]] = {}
    for sentence in sentences:
        found = ScoredSentence(sentence.text, sentence.entities, spans[sentence.id])
        for genre in {sentence.genre, ALL}:  # a file alone is the genre `all`
            scored.setdefault(genre, []).append(found)
    groups = (*(genre for genre in scored if genre != ALL), ALL)
    genres = {genre: break_down(scored[genre], training_mentions) for genre in groups}
    types = types_in(genres[ALL].confusions, labels.labels)
    folder = directory / ANALYSIS_FOLDER
    _write_tables(folder, genres, [label.tag for label in types], nested=labels.nested)
    judged = judge(sentences, spans)
    reliability = {
        genre: bins(entities_of(each for each in judged if genre in (each.genre, ALL)))
        for genre in groups
    }
    if reliability[ALL]:
        _write_reliability(folder, reliability)
    if not formats:
        return
    with legible():
        pairs = genres[ALL].confusions
        figures = {
            "confusion": confusion_figure(pairs, types),
            "errors_by_type": error_figure(pairs, types),
            "f1_by_length": length_figure(genres),
            "f1_by_string": string_figure(genres),
        }
        if reliability[ALL]:
            figures["reliability"] = reliability_figure(reliability)
        for name, figure in figures.items():
            for style, content in pictures(figure, formats).items():
                write_bytes(folder / f"{name}.{style}", content)


def _write_reliability(folder: Path, genres: Mapping[str, Sequence[Bin]]) -> None:
    rows = [
        (genre, each.entities, 100 * each.confidence, 100 * each.right)
        for genre, found in genres.items()
        for each in found
    ]
    _write_csv(folder / "reliability.csv", ("genre", "entities", "confidence", "precision"), rows)


def _write_csv(path: Path, header: Sequence[str], rows: Rows) -> None:
    with replacing(path) as file:
        csv.writer(file, lineterminator="\n").writerows((header, *rows))


def _write_tables(
    directory: Path, genres: Mapping[str, Breakdown], types: Sequence[str], *, nested: bool
) -> None:
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
    if nested:
        tables["f1_by_nesting"] = (("entities", *FIGURES), lambda each: _parts(each.nesting))
    for name, (header, rows_of) in tables.items():
        rows = [(genre, *row) for genre, each in genres.items() for row in rows_of(each)]
        _write_csv(directory / f"{name}.csv", ("genre", *header), rows)


def _figures(scores: Scores) -> list[float]:
    return [getattr(scores, figure) for figure in FIGURES]


def _parts(found: Mapping[str, Scores]) -> Rows:
    return ((name, *_figures(scores)) for name, scores in found.items())


def _confusion_rows(found: Mapping[Confusion, int], types: Sequence[str]) -> Rows:
    """A row for each cell that is not empty, largest first."""
    order = {type_: number for number, type_ in enumerate((*types, None))}

    def place(item: tuple[Confusion, int]) -> tuple[int, ...]:
        (gold, predicted, kind), count = item
        return -count, order[gold], order[predicted], ERROR_KINDS.index(kind)

    for (gold, predicted, kind), count in sorted(found.items(), key=place):
        yield gold or "", predicted or "", kind, count


def _error_rows(found: Mapping[Confusion, int], types: Sequence[str]) -> Rows:
    for type_ in (*types, None):
        yield type_ or ALL, *by_kind(found, 0, type_), *by_kind(found, 1, type_)
