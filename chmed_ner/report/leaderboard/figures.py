"""The figures of a board: those for which there are data, and why the others are left out."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from math import log2
from statistics import fmean

from chmed_ner.entities.labels import Label, label_scheme
from chmed_ner.errors import InputError
from chmed_ner.report.leaderboard.rows import Board, LeaderboardRow
from chmed_ner.report.leaderboard.runs import Artifact, ScoredRun, json_object
from chmed_ner.score.error_kinds import Confusion

MOST = 8
"""Systems in one figure: the best."""

Systems = Mapping[str, Mapping[str, float]]
"""system -> category -> figure, in percent where it is an F1"""


@dataclass
class Drawn:
    """PNGs by file name, and the reasons why some are not there; whose confusions are drawn."""

    pictures: dict[str, bytes] = field(default_factory=dict)
    best: str = ""
    left_out: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Whose confusion matrix is shown, and which figures are left out and why."""
        best = [f"Confusion matrix: the best run, {self.best}."] if self.best else []
        return best + [f"Figure left out: {reason}." for reason in self.left_out]

    def add(self, name: str, picture: bytes | None, missing: str) -> None:
        """Add a picture, or the reason why there is none."""
        if picture is None:
            self.left_out.append(f"{name}: {missing}")
        else:
            self.pictures[f"{name.lower().replace(' ', '_')}.png"] = picture


def board_figures(board: Board, every: Sequence[LeaderboardRow], artifact: Artifact) -> Drawn:
    """Every figure of a board; `every`: its rows with the partial ones, for the learning curve."""
    from chmed_ner.report.leaderboard.system_figures import speed_figure

    drawn = Drawn()
    rows = [row for row in board.rows if not row.trained_on_test][:MOST]
    genres = {genre: f"test/{genre}/f1" for genre in board.genres}
    by_genre = {row.name: row.means(genres) for row in rows} if len(genres) > 1 else {}
    drawn.add("F1 by genre", _bars("各文類的 F1", by_genre, board.genres), "there is one genre")
    by_type = {row.name: _types(row, board.genres) for row in rows}
    tags = sorted({tag for values in by_type.values() for tag in values})
    picture = _bars("各類別的 F1（文類平均）", by_type if tags else {}, tags)
    drawn.add("F1 by type", picture, "no run has figures by type")
    lengths = {row.name: values for row in rows if (values := _lengths(row, artifact))}
    buckets = sorted({b for values in lengths.values() for b in values}, key=_start)
    places = {bucket: float(number) for number, bucket in enumerate(buckets)}
    picture = _lines("F1 與句長", "句子長度（字）", lengths, places)
    missing = "no run has analysis/f1_by_sentence_length.csv"
    drawn.add("F1 by sentence length", picture, missing)
    curves = _curves(every)
    sizes = sorted({size for values in curves.values() for size in values}, key=int)
    doublings = {size: log2(max(1, int(size))) for size in sizes}
    picture = _lines("學習曲線", "訓練句數 limit.train", curves, doublings)
    missing = "no setting has two values of limit.train with the whole test set"
    drawn.add("learning curve", picture, missing)
    _add_confusions(drawn, rows, artifact)
    speeds = {row.name: point for row in rows if (point := _speed(row))}
    picture = speed_figure("速度與 F1", speeds) if speeds else None
    drawn.add("speed against F1", picture, "no run has time/sentences_per_second")
    return drawn


def _bars(title: str, systems: Systems, categories: Sequence[str]) -> bytes | None:
    from chmed_ner.report.leaderboard.system_figures import bars_figure

    return bars_figure(title, systems, categories) if systems else None


def _lines(title: str, below: str, systems: Systems, places: Mapping[str, float]) -> bytes | None:
    from chmed_ner.report.leaderboard.system_figures import lines_figure

    return lines_figure(title, below, systems, places) if systems else None


def _types(row: LeaderboardRow, genres: Sequence[str]) -> dict[str, float]:
    """The mean over genres of each type's F1."""
    values: dict[str, list[float]] = {}
    for metric in row.runs[0].run.metrics:
        match metric.split("/"):
            case ["test", genre, tag, "f1"] if genre in genres:
                values.setdefault(tag, []).extend(row.means({tag: metric}).values())
    return {tag: fmean(each) for tag, each in values.items() if each}


def _lengths(row: LeaderboardRow, artifact: Artifact) -> dict[str, float]:
    """F1 by bucket of sentence length, over all genres, the mean over seeds that have it."""
    values: dict[str, list[float]] = {}
    for run in row.runs:
        for line in _table(artifact(run.run, "analysis/f1_by_sentence_length.csv")):
            if line.get("genre") == "all" and line.get("gold") not in (None, "0"):
                values.setdefault(line["length"], []).append(float(line["f1"]))
    return {bucket: fmean(each) for bucket, each in values.items()}


def _start(bucket: str) -> int:
    return int(bucket.rstrip("+").split("–")[0])


def _curves(rows: Sequence[LeaderboardRow]) -> dict[str, dict[str, float]]:
    """setting -> training sentences -> mean F1 over seeds; the best settings, the best first."""
    found: dict[tuple[tuple[str, str], ...], dict[str, list[float]]] = {}
    names: dict[tuple[tuple[str, str], ...], str] = {}
    for row in rows:
        run = row.runs[0]
        size = run.run.params.get("limit.train", "None")
        if size == "None" or not run.tuned:
            continue
        key = tuple(sorted(_without_limits(run.setting()).items()))
        names[key] = LeaderboardRow(row.group, _without_limits(row.differs), row.runs).name
        values = found.setdefault(key, {}).setdefault(size, [])
        values += [each.run.metrics["test/f1"] for each in row.runs]
    curves = {
        names[key]: {size: fmean(values) for size, values in sizes.items()}
        for key, sizes in found.items()
        if len(sizes) > 1
    }
    best = sorted(curves.items(), key=lambda item: (-max(item[1].values()), item[0]))
    return dict(islice(best, MOST))


def _without_limits(setting: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in setting.items() if not key.startswith("limit.")}


def _add_confusions(drawn: Drawn, rows: Sequence[LeaderboardRow], artifact: Artifact) -> None:
    from chmed_ner.report.analysis.error_figures import confusion_figure

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
    labels = _labels(artifact(best.run, "run.json"))
    labels += [Label(tag, tag, tag) for tag in sorted(met - {label.tag for label in labels})]
    drawn.pictures["confusion.png"] = confusion_figure(found, labels)


def _f1(run: ScoredRun) -> float:
    return run.run.metrics["test/f1"]


def _labels(text: str | None) -> list[Label]:
    """The labels of a run's record, none where it has none."""
    try:
        scheme = json_object(text)["config"]["dataset"]["labels"]
        return list(label_scheme(str(scheme["name"]), scheme["types"]).labels)
    except (KeyError, TypeError, InputError):
        return []


def _speed(row: LeaderboardRow) -> tuple[float, float] | None:
    found = row.means({"speed": "time/sentences_per_second", "f1": "test/f1"})
    return (found["speed"], found["f1"]) if found.get("speed", 0.0) > 0 else None


def _table(text: str | None) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text))) if text else []
