"""The figures of a board: those for which there are data, and why the others are left out."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from statistics import fmean

from chmed_ner.entities.labels import Label, LabelScheme, label_scheme
from chmed_ner.errors import InputError
from chmed_ner.report.leaderboard.board import Board, Row
from chmed_ner.report.leaderboard.scored import ScoredRun
from chmed_ner.score.error_kinds import Confusion
from chmed_ner.track import TrackedRun

Artifact = Callable[[TrackedRun, str], str | None]


@dataclass
class Drawn:
    """PNGs by file name, and the reasons why some are not there."""

    pictures: dict[str, bytes] = field(default_factory=dict)
    best: str = ""
    """The run of the confusion matrix."""
    left_out: list[str] = field(default_factory=list)


def figures(board: Board, every: Sequence[Row], artifact: Artifact) -> Drawn:
    """Every figure of a board; `every`: its rows with the partial ones, for the learning curve."""
    from chmed_ner.report.leaderboard.drawing import MOST, bars_figure, lines_figure, speed_figure

    drawn = Drawn()
    rows = [row for row in board.rows if not row.trained_on_test][:MOST]
    genres = {
        row.name: _means(row, {genre: f"test/{genre}/f1" for genre in board.genres}) for row in rows
    }
    if rows and len(board.genres) > 1:
        name = "f1_by_genre.png"
        drawn.pictures[name] = bars_figure("各文類的 F1", genres, board.genres)
    else:
        drawn.left_out.append("F1 by genre: there is one genre")
    types = {row.name: _types(row, board.genres) for row in rows}
    if tags := sorted({tag for values in types.values() for tag in values}):
        drawn.pictures["f1_by_type.png"] = bars_figure("各類別的 F1（文類平均）", types, tags)
    else:
        drawn.left_out.append("F1 by type: no run has figures by type")
    lengths = {row.name: _lengths(row, artifact) for row in rows}
    lengths = {name: values for name, values in lengths.items() if values}
    if lengths:
        buckets = sorted({b for values in lengths.values() for b in values}, key=_start)
        drawn.pictures["f1_by_sentence_length.png"] = lines_figure(
            "F1 與句長", "句子長度（字）", lengths, buckets, range(len(buckets))
        )
    else:
        drawn.left_out.append(
            "F1 by sentence length: no run has analysis/f1_by_sentence_length.csv"
        )
    curves = dict(list(_curves(every).items())[:MOST])
    if curves:
        sizes = sorted({size for values in curves.values() for size in values}, key=int)
        drawn.pictures["learning_curve.png"] = lines_figure(
            "學習曲線", "訓練句數 limit.train", curves, sizes, [_spread(size) for size in sizes]
        )
    else:
        drawn.left_out.append(
            "learning curve: no setting has two values of limit.train with the whole test set"
        )
    _confusion(drawn, rows, artifact)
    speeds = {row.name: point for row in rows if (point := _speed(row))}
    if speeds:
        drawn.pictures["speed_against_f1.png"] = speed_figure("速度與 F1", speeds)
    else:
        drawn.left_out.append("speed against F1: no run has time/sentences_per_second")
    return drawn


def _means(row: Row, metrics: Mapping[str, str]) -> dict[str, float]:
    found = {name: row.figure(metric) for name, metric in metrics.items()}
    return {name: each.mean for name, each in found.items() if each is not None}


def _types(row: Row, genres: Sequence[str]) -> dict[str, float]:
    """The mean over genres of each type's F1."""
    values: dict[str, list[float]] = {}
    for metric in row.runs[0].run.metrics:
        parts = metric.split("/")
        if len(parts) == 4 and parts[0] == "test" and parts[3] == "f1" and parts[1] in genres:
            found = row.figure(metric)
            if found is not None:
                values.setdefault(parts[2], []).append(found.mean)
    return {tag: fmean(each) for tag, each in values.items()}


def _lengths(row: Row, artifact: Artifact) -> dict[str, float]:
    """F1 by bucket of sentence length, over all genres, the mean over seeds that have it."""
    values: dict[str, list[float]] = {}
    for run in row.runs:
        for line in _table(artifact(run.run, "analysis/f1_by_sentence_length.csv")):
            if line.get("genre") == "all" and line.get("gold") not in (None, "0"):
                values.setdefault(line["length"], []).append(float(line["f1"]))
    return {bucket: fmean(each) for bucket, each in values.items()}


def _start(bucket: str) -> int:
    digits = bucket.rstrip("+").split("–")[0]
    return int(digits)


def _curves(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """setting -> training sentences -> mean F1 over seeds; the best setting first."""
    found: dict[tuple[tuple[str, str], ...], dict[str, list[float]]] = {}
    names: dict[tuple[tuple[str, str], ...], str] = {}
    for row in rows:
        run = row.runs[0]
        size = run.run.params.get("limit.train", "None")
        if size == "None" or not run.tuned:
            continue
        kept = {k: v for k, v in run.setting().items() if not k.startswith("limit.")}
        key = tuple(sorted(kept.items()))
        differs = {k: v for k, v in row.differs.items() if not k.startswith("limit.")}
        names[key] = Row(row.group, differs, row.runs).name
        values = found.setdefault(key, {}).setdefault(size, [])
        values += [each.run.metrics["test/f1"] for each in row.runs]
    curves = {
        names[key]: {size: fmean(values) for size, values in sizes.items()}
        for key, sizes in found.items()
        if len(sizes) > 1
    }
    return dict(sorted(curves.items(), key=lambda item: (-max(item[1].values()), item[0])))


def _spread(size: str) -> float:
    """Where a training size stands: doublings are equally far apart."""
    from math import log2

    return log2(max(1, int(size)))


def _confusion(drawn: Drawn, rows: Sequence[Row], artifact: Artifact) -> None:
    from chmed_ner.report.analysis.confusion_figure import confusion_figure

    best = max((run for row in rows for run in row.runs), key=_f1, default=None)
    found: dict[Confusion, int] = {}
    if best is not None:
        for line in _table(artifact(best.run, "analysis/confusion.csv")):
            if line.get("genre") == "all":
                cell = (line["gold"] or None, line["predicted"] or None, line["kind"])
                found[cell] = int(line["entities"])
    if best is None or not found:
        drawn.left_out.append("confusion matrix: the best run has no analysis/confusion.csv")
        return
    drawn.best = f"{best.run.name} ({best.run.run_id})"
    met = {type_ for gold, predicted, _ in found for type_ in (gold, predicted) if type_}
    scheme = _scheme(artifact(best.run, "run.json"))
    labels = list(scheme.labels) if scheme else []
    labels += [Label(tag, tag, tag) for tag in sorted(met - {label.tag for label in labels})]
    drawn.pictures["confusion.png"] = confusion_figure(found, labels)


def _f1(run: ScoredRun) -> float:
    return run.run.metrics["test/f1"]


def _scheme(text: str | None) -> LabelScheme | None:
    """The label scheme of a run's record, None where it says none."""
    try:
        described = json.loads(text or "")["config"]["dataset"]["labels"]
        return label_scheme(str(described["name"]), described["types"])
    except (ValueError, KeyError, TypeError, InputError):
        return None


def _speed(row: Row) -> tuple[float, float] | None:
    speed, f1 = row.figure("time/sentences_per_second"), row.figure("test/f1")
    return (speed.mean, f1.mean) if speed and f1 and speed.mean > 0 else None


def _table(text: str | None) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text))) if text else []
