"""Charts of several systems: bars, lines over ordered categories, speed against F1."""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from chmed_ner.report.figures import (
    COLOURS,
    QUIET,
    RULE,
    TEXT,
    Pictures,
    add_axes,
    add_legend,
    f1_axis,
    grouped_bars,
    name_places,
    new_figure,
    pictures,
    text_style,
)
from chmed_ner.report.words import say

HALF, WIDEST = 5.2, 10.6
"""Inches: what the page shows beside another figure, and alone, without shrinking it."""
LETTER = 0.072
"""Inches that a character of a legend takes, on the whole."""

SYSTEM_COLOURS = (*COLOURS, "#c2a42d", TEXT)
MARKERS = "os^DvPX*"

Systems = Mapping[str, Mapping[str, float]]
"""system -> category -> figure, in percent where it is an F1"""
Heading = tuple[str, str]
"""A title, and what all systems of the figure have in common."""


def bars_figure(heading: Heading, systems: Systems, categories: Sequence[str]) -> Pictures:
    """F1 of each system in each category, side by side."""
    wanted = 0.17 * len(categories) * (len(systems) + 1) + 1
    width = HALF if wanted <= HALF else WIDEST
    figure, axes = _canvas(heading, systems, width, "s" * len(systems))
    name_places(axes, categories)
    drawn = _drawn(systems)
    groups = [(colour, [values.get(name) for name in categories]) for values, colour, _ in drawn]
    grouped_bars(axes, groups, 0, 7.5)
    return pictures(figure)


def lines_figure(
    heading: Heading, below: str, systems: Systems, places: Mapping[str, float]
) -> Pictures:
    """F1 of each system over ordered categories, each at its place."""
    figure, axes = _canvas(heading, systems)
    axes.set_xticks(list(places.values()), list(places), **text_style(9))
    axes.set_xlabel(below, **text_style(9, QUIET))
    for values, colour, marker in _drawn(systems):
        points = sorted((places[category], f1) for category, f1 in values.items())
        style = {"color": colour, "marker": marker, "linewidth": 1.6, "markersize": 5}
        axes.plot(*zip(*points, strict=True), clip_on=False, **style)
    return pictures(figure)


def speed_figure(heading: Heading, systems: Mapping[str, tuple[float, float]]) -> Pictures:
    """F1 against sentences a second (logarithmic), a point a system."""
    figure, axes = _canvas(heading, systems)
    axes.set_xscale("log")
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.set_xlabel(say("Sentences per second"), **text_style(9, QUIET))
    speeds = [speed for speed, _ in systems.values()]
    axes.set_xlim(min(speeds) / 2, max(speeds) * 2)
    axes.minorticks_off()
    for label in axes.get_xticklabels():
        label.set(**{"fontproperties": text_style(8.5)["fontproperties"], "color": QUIET})
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for (speed, f1), colour, marker in _drawn(systems):
        axes.plot(speed, f1, marker, color=colour, markersize=8, clip_on=False)
    return pictures(figure)


def _drawn(systems: Mapping[str, Any]) -> Iterator[tuple[Any, str, str]]:
    """What is drawn of each system, its colour and its marker."""
    return zip(systems.values(), SYSTEM_COLOURS, MARKERS, strict=False)


def _canvas(
    heading: Heading, systems: Mapping[str, Any], width: float = HALF, markers: str = MARKERS
) -> tuple[Any, Any]:
    """A figure with a title and a line below it, a legend in as many columns as there is room for,
    and axes of F1 below it."""
    longest = int((width - 0.6) / LETTER)
    shown = [x if len(x) <= longest else f"{x[: longest - 1]}…" for x in systems]
    columns = max(1, min(len(shown), int(width / (LETTER * max(map(len, shown)) + 0.45))))
    top = 0.85 + 0.19 * ceil(len(shown) / columns)
    figure = new_figure(width, top + 3.1, *heading)
    add_legend(
        figure,
        zip(shown, SYSTEM_COLOURS, markers, strict=False),
        loc="upper left",
        bbox_to_anchor=(0.1 / width, 1 - 0.72 / (top + 3.1)),
        ncols=columns,
        borderpad=0,
        columnspacing=1.2,
        labelspacing=0.3,
    )
    axes = add_axes(figure, 0.5, 0.6, 0.3, top + 0.2)
    f1_axis(axes)
    return figure, axes
