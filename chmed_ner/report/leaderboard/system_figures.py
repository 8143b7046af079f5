"""Drawings of several systems: bars by category, lines over categories, F1 against speed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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

WIDEST = 10.6
"""Inches: what the page shows without shrinking it."""
LONGEST_NAME = 96

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
    axes.set_xticks(list(places.values()))
    axes.set_xticklabels(list(places), **text_style(9))
    axes.set_xlabel(below, **text_style(9, QUIET))
    for values, colour, marker in _drawn(systems):
        points = sorted((places[category], f1) for category, f1 in values.items())
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            color=colour,
            linewidth=1.6,
            marker=marker,
            markersize=5,
            clip_on=False,
        )
    return png(figure)


def speed_figure(title: str, systems: Mapping[str, tuple[float, float]]) -> bytes:
    """F1 against sentences a second (logarithmic), a point a system, as a PNG."""
    figure, axes = _canvas(title, systems, 9.0)
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
    width = min(max(width, 7.0), WIDEST)
    top = 0.75 + 0.24 * len(systems)
    height = top + 3.6
    figure = new_figure(width, height, title)
    add_legend(
        figure,
        zip(map(_short, systems), SYSTEM_COLOURS, markers, strict=False),
        loc="upper left",
        bbox_to_anchor=(0.1 / width, 1 - 0.4 / height),
        labelspacing=0.55,
    )
    axes = add_axes(figure, 0.6, 0.65, 0.35, top + 0.2)
    f1_axis(axes)
    return figure, axes


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
