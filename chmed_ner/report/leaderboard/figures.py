"""The figures of a board: those for which there are data, and why the others are left out."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from itertools import islice
from math import log2
from statistics import fmean
from typing import Any

from chmed_ner.entities import Label, label_scheme
from chmed_ner.errors import InputError
from chmed_ner.report.analysis.figures import confusion_figure, types_in
from chmed_ner.report.figures import Pictures, pictures
from chmed_ner.report.leaderboard.charts import bars_figure, lines_figure, speed_figure
from chmed_ner.report.leaderboard.entries import Artifact, json_object
from chmed_ner.report.leaderboard.rows import Board, LeaderboardRow, shortened
from chmed_ner.report.words import say
from chmed_ner.score import Confusion

MOST = 8
"""Systems in one figure: the best."""


@dataclass
class Drawn:
    """Figures by file name and format with their titles, and the reasons why some are not there;
    whose confusions are drawn."""

    pictures: dict[str, Pictures] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    best: str = ""
    left_out: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Whose confusion matrix is shown, and which figures are left out and why."""
        best = [say("Confusion matrix: the best run, {run}.", run=self.best)] if self.best else []
        return best + [say("Figure left out: {reason}.", reason=each) for each in self.left_out]

    def add(self, name: str, missing: str, systems: Any, draw: Callable[[Any], Pictures]) -> None:
        """Add a picture of the systems, or the reason why there are none."""
        if systems:
            file = name.lower().replace(" ", "_")
            self.pictures[file], self.titles[file] = draw(systems), say(name)
        else:
            self.left_out.append(f"{say(name)}: {say(missing)}")


def board_figures(board: Board, every: Sequence[LeaderboardRow], artifact: Artifact) -> Drawn:
    """Every figure of a board; `every`: its rows with the partial ones, for the learning curve."""
    drawn = Drawn()
    shared, rows = shortened([row for row in board.rows if not row.trained_on_test][:MOST])
    note = "; ".join(filter(None, (board.title, shared)))
    genres = {genre: f"test/{genre}/f1" for genre in board.genres}
    by_genre = {row.name: row.means(genres) for row in rows} if len(genres) > 1 else {}
    draw = partial(bars_figure, (say("F1 by genre"), note), categories=board.genres)
    drawn.add("F1 by genre", "there is one genre", by_genre, draw)
    by_type = {row.name: _types(row, board.genres) for row in rows}
    tags = sorted({tag for values in by_type.values() for tag in values})
    draw = partial(bars_figure, (say("F1 by type (mean of the genres)"), note), categories=tags)
    drawn.add("F1 by type", "no run has figures by type", tags and by_type, draw)
    lengths = {row.name: values for row in rows if (values := _lengths(row, artifact))}
    buckets = {bucket for values in lengths.values() for bucket in values}
    in_order = sorted(buckets, key=lambda bucket: int(bucket.rstrip("+").split("–")[0]))
    places = {bucket: float(number) for number, bucket in enumerate(in_order)}
    draw = partial(
        lines_figure,
        (say("F1 by sentence length"), note),
        say("Length of the sentence (characters)"),
        places=places,
    )
    missing = "no run has analysis/f1_by_sentence_length.csv"
    drawn.add("F1 by sentence length", missing, lengths, draw)
    shared, every = shortened([row for row in every if _size(row)])
    curves = _curves(every)
    sizes = sorted({size for values in curves.values() for size in values}, key=int)
    doublings = {size: log2(max(1, int(size))) for size in sizes}
    heading = say("Learning curve"), "; ".join(filter(None, (board.title, shared)))
    draw = partial(lines_figure, heading, say("Training sentences (limit.train)"), places=doublings)
    missing = "no setting has two values of limit.train with the whole test set"
    drawn.add("Learning curve", missing, curves, draw)
    _add_confusions(drawn, rows, artifact)
    means = {"speed": "time/sentences_per_second", "f1": "test/f1"}
    points = {row.name: row.means(means) for row in rows}
    speeds = {x: (p["speed"], p["f1"]) for x, p in points.items() if p.get("speed", 0.0) > 0}
    draw = partial(speed_figure, (say("Speed and F1"), note))
    drawn.add("Speed and F1", "no run has time/sentences_per_second", speeds, draw)
    return drawn


def _size(row: LeaderboardRow) -> str:
    """How many training sentences a tuned row was limited to; empty without a limit."""
    size = row.runs[0].run.params.get("limit.train", "None")
    return size if size != "None" and row.runs[0].tuned else ""


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


def _curves(rows: Sequence[LeaderboardRow]) -> dict[str, dict[str, float]]:
    """setting -> training sentences -> mean F1 over seeds, of rows that were limited; the best
    settings, the best first."""
    found: dict[tuple[tuple[str, str], ...], dict[str, list[float]]] = {}
    names: dict[tuple[tuple[str, str], ...], str] = {}
    for row in rows:
        run = row.runs[0]
        key = tuple(sorted(_without_limits(run.setting()).items()))
        names[key] = LeaderboardRow(row.group, _without_limits(row.differs), row.runs).name
        values = found.setdefault(key, {}).setdefault(_size(row), [])
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
    runs = [run for row in rows for run in row.runs]
    best = max(runs, key=lambda run: run.run.metrics["test/f1"], default=None)
    found: dict[Confusion, int] = {}
    if best is not None:
        for line in _table(artifact(best.run, "analysis/confusion.csv")):
            if line.get("genre") == "all":
                cell = (line["gold"] or None, line["predicted"] or None, line["kind"])
                found[cell] = int(line["entities"])
    if best is None or not found:
        missing = say("the best run has no analysis/confusion.csv")
        drawn.left_out.append(f"{say('Confusion of types')}: {missing}")
        return
    drawn.best = f"{best.run.name} ({best.run.run_id})"
    labels = types_in(found, _labels(artifact(best.run, "run.json")))
    drawn.pictures["confusion"] = pictures(confusion_figure(found, labels))
    drawn.titles["confusion"] = say("Confusion of types")


def _labels(text: str | None) -> list[Label]:
    """The labels of a run's record, none where it has none."""
    try:
        scheme = json_object(text)["config"]["dataset"]["labels"]
        return list(label_scheme(str(scheme["name"]), scheme["types"]).labels)
    except (KeyError, TypeError, InputError):
        return []


def _table(text: str | None) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text))) if text else []
