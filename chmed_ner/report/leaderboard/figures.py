"""The figures of a board: those for which there are data, and why the others are left out."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from chmed_ner.report.figures import (
    COLOURS,
    QUIET,
    RULE,
    TEXT,
    add_axes,
    add_legend,
    f1_axis,
    grouped_bars,
    name_places,
    new_figure,
    png,
    text_style,
)
from chmed_ner.report.leaderboard.entries import Artifact, json_object
from chmed_ner.report.leaderboard.rows import Board, LeaderboardRow
from chmed_ner.score import Confusion

WIDEST = 10.6
"""Inches: what the page shows without shrinking it."""
LONGEST_NAME = 96

MOST = 8
"""Systems in one figure: the best."""
SYSTEM_COLOURS = (*COLOURS, "#c2a42d", TEXT)
MARKERS = "os^DvPX*"

Systems = Mapping[str, Mapping[str, float]]
"""system -> category -> figure, in percent where it is an F1"""


def bars_figure(title: str, systems: Systems, categories: Sequence[str]) -> bytes:
    """F1 of each system in each category, side by side, as a PNG."""
    wanted = 1.1 * len(categories) * max(1.0, len(systems) / 4) + 2
    figure, axes = _canvas(title, systems, wanted, "s" * len(systems))
    name_places(axes, categories)
    drawn = _drawn(systems)
    groups = [(colour, [values.get(name) for name in categories]) for values, colour, _ in drawn]
    grouped_bars(axes, groups, 0, 7.5)
    return png(figure)


def lines_figure(title: str, below: str, systems: Systems, places: Mapping[str, float]) -> bytes:
    """F1 of each system over ordered categories, each at its place, as a PNG."""
    figure, axes = _canvas(title, systems, 9.0)
    axes.set_xticks(list(places.values()), list(places), **text_style(9))
    axes.set_xlabel(below, **text_style(9, QUIET))
    for values, colour, marker in _drawn(systems):
        points = sorted((places[category], f1) for category, f1 in values.items())
        style = {"color": colour, "marker": marker, "linewidth": 1.6, "markersize": 5}
        axes.plot(*zip(*points, strict=True), clip_on=False, **style)
    return png(figure)


def speed_figure(systems: Mapping[str, tuple[float, float]]) -> bytes:
    """F1 against sentences a second (logarithmic), a point a system, as a PNG."""
    figure, axes = _canvas("速度與 F1", systems, 9.0)
    axes.set_xscale("log")
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.set_xlabel("每秒句數 sentences per second", **text_style(9, QUIET))
    speeds = [speed for speed, _ in systems.values()]
    axes.set_xlim(min(speeds) / 2, max(speeds) * 2)
    axes.minorticks_off()
    for label in axes.get_xticklabels():
        label.set(**{"fontproperties": text_style(8.5)["fontproperties"], "color": QUIET})
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for (speed, f1), colour, marker in _drawn(systems):
        axes.plot(speed, f1, marker, color=colour, markersize=8, clip_on=False)
    return png(figure)


def _drawn(systems: Mapping[str, Any]) -> Iterator[tuple[Any, str, str]]:
    """What is drawn of each system, its colour and its marker."""
    return zip(systems.values(), SYSTEM_COLOURS, MARKERS, strict=False)


def _canvas(
    title: str, systems: Mapping[str, Any], width: float, markers: str = MARKERS
) -> tuple[Any, Any]:
    """A figure with a title, a legend line for each system, and axes of F1 below it."""
    shown = [x if len(x) <= LONGEST_NAME else f"{x[: LONGEST_NAME - 1]}…" for x in systems]
    width = min(max(width, 7.0), WIDEST)
    top = 0.75 + 0.24 * len(systems)
    height = top + 3.6
    figure = new_figure(width, height, title)
    add_legend(
        figure,
        zip(shown, SYSTEM_COLOURS, markers, strict=False),
        loc="upper left",
        bbox_to_anchor=(0.1 / width, 1 - 0.4 / height),
        labelspacing=0.55,
    )
    axes = add_axes(figure, 0.6, 0.65, 0.35, top + 0.2)
    f1_axis(axes)
    return figure, axes


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

    def add(self, name: str, missing: str, systems: Any, draw: Callable[[Any], bytes]) -> None:
        """Add a picture of the systems, or the reason why there are none."""
        if systems:
            self.pictures[f"{name.lower().replace(' ', '_')}.png"] = draw(systems)
        else:
            self.left_out.append(f"{name}: {missing}")


def board_figures(board: Board, every: Sequence[LeaderboardRow], artifact: Artifact) -> Drawn:
    """Every figure of a board; `every`: its rows with the partial ones, for the learning curve."""
    drawn = Drawn()
    rows = [row for row in board.rows if not row.trained_on_test][:MOST]
    genres = {genre: f"test/{genre}/f1" for genre in board.genres}
    by_genre = {row.name: row.means(genres) for row in rows} if len(genres) > 1 else {}
    draw = partial(bars_figure, "各文類的 F1", categories=board.genres)
    drawn.add("F1 by genre", "there is one genre", by_genre, draw)
    by_type = {row.name: _types(row, board.genres) for row in rows}
    tags = sorted({tag for values in by_type.values() for tag in values})
    draw = partial(bars_figure, "各類別的 F1（文類平均）", categories=tags)
    drawn.add("F1 by type", "no run has figures by type", tags and by_type, draw)
    lengths = {row.name: values for row in rows if (values := _lengths(row, artifact))}
    buckets = {bucket for values in lengths.values() for bucket in values}
    in_order = sorted(buckets, key=lambda bucket: int(bucket.rstrip("+").split("–")[0]))
    places = {bucket: float(number) for number, bucket in enumerate(in_order)}
    draw = partial(lines_figure, "F1 與句長", "句子長度（字）", places=places)
    missing = "no run has analysis/f1_by_sentence_length.csv"
    drawn.add("F1 by sentence length", missing, lengths, draw)
    curves = _curves(every)
    sizes = sorted({size for values in curves.values() for size in values}, key=int)
    doublings = {size: log2(max(1, int(size))) for size in sizes}
    draw = partial(lines_figure, "學習曲線", "訓練句數 limit.train", places=doublings)
    missing = "no setting has two values of limit.train with the whole test set"
    drawn.add("learning curve", missing, curves, draw)
    _add_confusions(drawn, rows, artifact)
    means = {"speed": "time/sentences_per_second", "f1": "test/f1"}
    points = {row.name: row.means(means) for row in rows}
    speeds = {x: (p["speed"], p["f1"]) for x, p in points.items() if p.get("speed", 0.0) > 0}
    drawn.add("speed against F1", "no run has time/sentences_per_second", speeds, speed_figure)
    return drawn


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
    runs = [run for row in rows for run in row.runs]
    best = max(runs, key=lambda run: run.run.metrics["test/f1"], default=None)
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
    labels = types_in(found, _labels(artifact(best.run, "run.json")))
    drawn.pictures["confusion.png"] = confusion_figure(found, labels)


def _labels(text: str | None) -> list[Label]:
    """The labels of a run's record, none where it has none."""
    try:
        scheme = json_object(text)["config"]["dataset"]["labels"]
        return list(label_scheme(str(scheme["name"]), scheme["types"]).labels)
    except (KeyError, TypeError, InputError):
        return []


def _table(text: str | None) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text))) if text else []
