"""Figures of a leaderboard: by genre, by type, by sentence length, by training size, by speed."""

from collections.abc import Mapping, Sequence
from typing import Any

from chmed_ner.report.analysis.f1_figures import COLOURS
from chmed_ner.report.figures import QUIET, RULE, TEXT, new_figure, plain_axes, png
from chmed_ner.report.figures import text_style as style

MOST = 8
"""Systems in one figure: the best."""

WIDEST = 10.6
"""Inches: what the page shows without shrinking it."""

MARKERS = "os^DvPX*"

Values = Mapping[str, float]
Systems = Mapping[str, Values]
"""system -> category -> figure, in percent where it is an F1"""


def bars_figure(title: str, systems: Systems, categories: Sequence[str]) -> bytes:
    """F1 of each system in each category, side by side, as a PNG."""
    figure, axes = _frame(title, systems, 1.1 * len(categories) * max(1.0, len(systems) / 4) + 2)
    _f1_axis(axes)
    axes.set_xlim(-0.55, len(categories) - 0.45)
    axes.set_xticks(range(len(categories)))
    axes.set_xticklabels(categories, **style(9))
    width = 0.84 / max(1, len(systems))
    for number, (values, colour) in enumerate(zip(systems.values(), _colours(), strict=False)):
        offset = (number - (len(systems) - 1) / 2) * width
        for place, category in enumerate(categories):
            if category in values:
                axes.bar(place + offset, values[category], width=0.9 * width, color=colour)
                kwargs = style(7.5, TEXT)
                height = values[category] + 1
                axes.text(place + offset, height, f"{values[category]:.0f}", ha="center", **kwargs)
    return png(figure)


def lines_figure(
    title: str, below: str, systems: Systems, categories: Sequence[str], places: Sequence[float]
) -> bytes:
    """F1 of each system over ordered categories that lie at `places`, as a PNG."""
    figure, axes = _frame(title, systems, 9.0, MARKERS)
    _f1_axis(axes)
    axes.set_xticks(list(places))
    axes.set_xticklabels(categories, **style(9))
    axes.set_xlabel(below, **style(9, QUIET))
    at = dict(zip(categories, places, strict=True))
    for number, (values, colour) in enumerate(zip(systems.values(), _colours(), strict=False)):
        points = sorted((at[category], f1) for category, f1 in values.items())
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            color=colour,
            linewidth=1.6,
            marker=MARKERS[number % len(MARKERS)],
            markersize=5,
            clip_on=False,
        )
    return png(figure)


def speed_figure(title: str, systems: Mapping[str, tuple[float, float]]) -> bytes:
    """F1 against sentences a second (logarithmic), a point a system, as a PNG."""
    figure, axes = _frame(title, systems, 9.0, MARKERS)
    _f1_axis(axes)
    axes.set_xscale("log")
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.set_xlabel("每秒句數 sentences per second", **style(9, QUIET))
    speeds = [speed for speed, _ in systems.values()]
    axes.set_xlim(min(speeds) / 2, max(speeds) * 2)
    axes.minorticks_off()
    for label in axes.get_xticklabels():
        label.set(**{"fontproperties": style(8.5)["fontproperties"], "color": QUIET})
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for number, ((speed, f1), colour) in enumerate(zip(systems.values(), _colours(), strict=False)):
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(speed, f1, marker, color=colour, markersize=8, clip_on=False)
    return png(figure)


def _frame(
    title: str, systems: Mapping[str, Any], width: float, markers: str = ""
) -> tuple[Any, Any]:
    """A figure with a title, a legend line for each system, and axes below it."""
    from matplotlib.lines import Line2D

    width = min(max(width, 7.0), WIDEST)
    top = 0.75 + 0.24 * len(systems)
    figure = new_figure(width, top + 3.6, title)
    keys = markers or "s" * len(systems)
    for number, (name, colour, key) in enumerate(zip(systems, _colours(), keys, strict=False)):
        place = 1 - (0.62 + 0.24 * number) / (top + 3.6)
        marker = Line2D([0.32 / width], [place], linestyle="", marker=key, color=colour)
        marker.set(markersize=6, transform=figure.transFigure)
        figure.add_artist(marker)
        figure.text(0.48 / width, place, _short(name), va="center_baseline", **style(9))
    return figure, plain_axes(figure, 0.6, 0.65, 0.35, top + 0.2)


def _short(name: str) -> str:
    return name if len(name) <= 96 else f"{name[:95]}…"


def _colours() -> list[str]:
    return [*COLOURS, "#c2a42d", TEXT]


def _f1_axis(axes: Any) -> None:
    axes.set_ylim(0, 100)
    axes.set_yticks(range(0, 101, 20))
    axes.set_yticklabels([str(tick) for tick in range(0, 101, 20)], **style(8.5, QUIET))
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
