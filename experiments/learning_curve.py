"""Draws F1 by training sentences, ours beside published systems: `pictures/learning_curve.png`.

    python experiments/learning_curve.py [--points FILE] [--out FILE]

The points stand in `learning_curve.yaml`, each a row of `record/`; the published ones are those of
`published.yaml`.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from chmed_ner.errors import InputError
from chmed_ner.files import write_bytes
from chmed_ner.report import speaking
from chmed_ner.report.figures import (
    COLOURS,
    QUIET,
    RULE,
    TEXT,
    add_axes,
    add_legend,
    new_figure,
    pictures,
    text_style,
)

HERE = Path(__file__).parent


class Kind(NamedTuple):
    """What a row knows beside its training sentences: legend, marker, how its name ends."""

    legend: str
    marker: str
    ending: str = ""


LISTS = {
    "none": Kind("no word lists", "o"),
    "word_lists": Kind("word lists that everybody can have", "s", " with word lists"),
    "official": Kind("these and the official mention strings", "D", " with all lists"),
}
PUBLISHED = Kind("published", "X")
OURS = (*COLOURS[:-1], "#9c7a12")
"""The colours of our systems, without the grey of published ones."""
GAP = 2.1
"""Points of F1 that two names at the same place are kept apart."""


@dataclass(frozen=True, slots=True)
class Point:
    """A system's F1 with its training sentences; its interval where one is recorded."""

    sentences: int
    f1: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A row of the figure: its points by size, their colour and marker."""

    name: str
    colour: str
    marker: str
    points: tuple[Point, ...]


def read_series(path: Path) -> list[Series]:
    """Our rows and the published ones, in the order of the file.

    Raises InputError for unknown lists and for a published system that is not in its file.
    """
    content = _plain(path)
    ours: Sequence[Mapping[str, Any]] = content["ours"]
    systems = list(dict.fromkeys(row["system"] for row in ours))
    found = []
    for row in ours:
        if row["lists"] not in LISTS:
            raise InputError(f"{path}: lists: {row['lists']}; write one of {', '.join(LISTS)}")
        kind = LISTS[row["lists"]]
        remark = f" ({row['remark']})" if "remark" in row else ""
        points = tuple(sorted((Point(*point) for point in row["points"]), key=_size))
        colour = OURS[systems.index(row["system"]) % len(OURS)]
        found.append(Series(f"{row['system']}{kind.ending}{remark}", colour, kind.marker, points))
    board = _plain(HERE / "published.yaml")[content["test_set"]]["rows"]
    f1 = {row["system"]: row["f1"] for row in board}
    for system, row in content["published"].items():
        if system not in f1:
            raise InputError(f"{path}: published: {system}; published.yaml has {', '.join(f1)}")
        point = Point(row["sentences"], f1[system])
        found.append(Series(row["name"], QUIET, PUBLISHED.marker, (point,)))
    return found


def picture(series: Sequence[Series]) -> bytes:
    """The figure as a PNG: F1 over training sentences (logarithmic)."""
    figure = new_figure(
        9.2, 5.4, "F1 by training sentences",
        "ROCLING-2022, official F1 in percent, bars: 95% interval; marks are tuned on sentences "
        "with entities alone",
    )  # fmt: skip
    axes = add_axes(figure, 0.5, 0.62, 0.3, 1.2)
    points = [point for each in series for point in each.points]
    sizes = sorted({point.sentences for point in points})
    axes.set_xscale("log")
    axes.set_xlim(sizes[0] / 1.2, sizes[-1] * 3.6)
    axes.minorticks_off()
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], **text_style(8.5, QUIET))
    axes.set_xlabel("training sentences", **text_style(9, QUIET))
    lowest = 5 * int(min(point.f1 for point in points) / 5 - 0.5)
    highest = 5 * int(max(point.f1 for point in points) / 5 + 1.5)
    axes.set_ylim(lowest, highest)
    ticks = range(lowest, highest + 1, 5)
    axes.set_yticks(ticks, [str(tick) for tick in ticks], **text_style(8.5, QUIET))
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    for each in series:
        across, up = [p.sentences for p in each.points], [p.f1 for p in each.points]
        axes.plot(across, up, color=each.colour, marker=each.marker, linewidth=1.6, markersize=6)
        known = [p for p in each.points if p.low is not None]
        ends = [[p.low for p in known], [p.high for p in known]]
        axes.vlines([p.sentences for p in known], *ends, color=each.colour, linewidth=1, alpha=0.5)
    _name(axes, series)
    drawn = {row.marker for row in series}
    kinds = [kind for kind in (*LISTS.values(), PUBLISHED) if kind.marker in drawn]
    shown = [(kind.legend, TEXT, kind.marker) for kind in kinds]
    add_legend(
        figure, shown, loc="upper left",
        bbox_to_anchor=(0.02, 1 - 0.72 / 5.4), ncols=len(kinds), borderpad=0, columnspacing=1.4,
    )  # fmt: skip
    return pictures(figure)["png"]


def _name(axes: Any, series: Sequence[Series]) -> None:
    """Write each name and its last figure: above the end of a line, right of a point alone.

    Names of points of one size are kept apart.
    """
    by_size: dict[int, list[Series]] = {}
    for each in series:
        last = each.points[-1]
        if len(each.points) > 1:
            text = f"{each.name} {last.f1:.2f}"
            place = (last.sentences, (last.high or last.f1) + GAP)
            axes.text(*place, text, ha="right", va="center", **text_style(8.5, each.colour))
        else:
            by_size.setdefault(last.sentences, []).append(each)
    for size, rows in by_size.items():
        height = float("-inf")
        for each in sorted(rows, key=lambda row: row.points[-1].f1):
            f1 = each.points[-1].f1
            height = max(f1, height + GAP)
            text = f"{each.name} {f1:.2f}"
            axes.text(size * 1.08, height, text, va="center", **text_style(8.5, each.colour))


def _size(point: Point) -> int:
    return point.sentences


def _plain(path: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(path))


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw and write; 2 where the points cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=Path, default=HERE / "learning_curve.yaml")
    parser.add_argument("--out", type=Path, default=HERE / "pictures" / "learning_curve.png")
    chosen = parser.parse_args(arguments)
    try:
        series = read_series(chosen.points)
    except InputError as error:
        print(error)
        return 2
    with speaking("en"):
        write_bytes(chosen.out, picture(series))
    print(f"written: {chosen.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
