"""What became of the gold entities of each type, and what the predicted ones are."""

from collections.abc import Mapping, Sequence
from typing import Any

from chmed_ner.entities.labels import Label
from chmed_ner.report.analysis.analysis_tables import by_kind
from chmed_ner.report.figures import QUIET, RULE, new_figure, plain_axes, png, spoken
from chmed_ner.report.figures import text_style as style
from chmed_ner.score.error_kinds import Confusion

KIND_STYLES = (
    ("正確 correct", "#2f7d6b", "white"),
    ("邊界 boundary", "#e9c46a", "#16191d"),
    ("類型 type", "#e07a3f", "#16191d"),
    ("邊界與類型 both", "#a8442a", "white"),
    ("漏標 missed／多標 spurious", "#c3cad3", "#16191d"),
)
SIDES = ("標準答案的實體", "預測的實體")
LEAST_NAMED = 6.5
"""Percent; a narrower segment has no number in it."""


def error_figure(found: Mapping[Confusion, int], labels: Sequence[Label]) -> bytes:
    """Two stacks of bars as a PNG, for gold and for predicted entities; a bar is a type."""
    rows = [*labels, None]
    height = 0.34 * len(rows)
    figure = new_figure(
        10.4,
        height + 1.8,
        "錯誤種類：每個實體恰屬一類",
        "左：標準答案的實體後來如何；右：預測的實體是什麼（%；列尾為實體數）",
    )
    names = [spoken(label) if label else "全部 all" for label in rows]
    for side, title in enumerate(SIDES):
        counts = [by_kind(found, side, label.tag if label else None) for label in rows]
        left = 1.55 if side == 0 else 6.35
        axes = plain_axes(figure, left, 0.62, 10.4 - left - 3.35, 1.1)
        _bars(axes, counts)
        axes.set_yticks(range(len(rows)))
        axes.set_yticklabels(names if side == 0 else [""] * len(rows), **style(9))
        axes.set_title(title, loc="left", pad=7, **style(10))
    _legend(figure)
    return png(figure)


def _bars(axes: Any, counts: Sequence[Sequence[int]]) -> None:
    for row, (whole, *parts) in enumerate(counts):
        start = 0.0
        for part, (_, colour, text) in zip(parts, KIND_STYLES, strict=True):
            width = 100 * part / whole if whole else 0.0
            axes.barh(row, width, left=start, height=0.74, color=colour)
            if width >= LEAST_NAMED:
                axes.text(
                    start + width / 2,
                    row,
                    f"{width:.0f}",
                    ha="center",
                    va="center_baseline",
                    **style(8, text),
                )
            start += width
        axes.text(102, row, f"{whole:,}", va="center_baseline", **style(8.5, QUIET))
    axes.axhline(len(counts) - 1.5, color=RULE, linewidth=1)
    axes.set_xlim(0, 100)
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.set_xticks([])


def _legend(figure: Any) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, 0, 1, 0.5 / height))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(0, 0.5)
    start = 1.55
    for name, colour, _ in KIND_STYLES:
        axes.bar(start + 0.08, 0.16, width=0.16, bottom=0.2, color=colour)
        axes.text(start + 0.24, 0.28, name, va="center", **style(9))
        start += 0.55 + 0.092 * sum(1 if character.isascii() else 1.75 for character in name)
