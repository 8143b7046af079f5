"""What became of gold entities, and what predicted ones are, by type."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from chmed_ner.entities import Label
from chmed_ner.report.figures import (
    QUIET,
    RULE,
    add_axes,
    add_legend,
    new_figure,
    spoken,
    text_style,
)
from chmed_ner.report.words import say
from chmed_ner.score import Confusion, by_kind

KIND_STYLES = (
    ("correct", "#2f7d6b", "white"),
    ("boundary", "#e9c46a", "#16191d"),
    ("type", "#e07a3f", "#16191d"),
    ("boundary and type", "#a8442a", "white"),
    ("missed / spurious", "#c3cad3", "#16191d"),
)
_SIDES = (
    "Left: what became of gold entities; right: what predicted ones are (%; at the end: entities)"
)
SIDES = ("gold entities", "predicted entities")
LEAST_NAMED = 6.5
"""Percent; a narrower segment has no number in it."""


def error_figure(found: Mapping[Confusion, int], labels: Sequence[Label]) -> Figure:
    """Two stacks of bars, for gold and for predicted entities; a bar is a type."""
    rows = [*labels, None]
    note = say(_SIDES)
    figure = new_figure(10.4, 0.34 * len(rows) + 1.8, say("Kinds of errors"), note)
    names = [spoken(label) if label else say("all") for label in rows]
    for side, title in enumerate(SIDES):
        counts = [by_kind(found, side, label.tag if label else None) for label in rows]
        left = 1.55 if side == 0 else 6.35
        axes = add_axes(figure, left, 0.62, 10.4 - left - 3.35, 1.1)
        _bars(axes, counts)
        shown = names if side == 0 else [""] * len(rows)
        axes.set_yticks(range(len(rows)), shown, **text_style(9))
        axes.set_title(say(title), loc="left", pad=7, **text_style(10))
    kinds = [(say(name), colour, "s") for name, colour, _ in KIND_STYLES]
    add_legend(figure, kinds, loc="lower center", ncols=len(kinds))
    return figure


def _bars(axes: Any, counts: Sequence[Sequence[int]]) -> None:
    """A bar of each row of `counts`: how many there are, then how many of each kind."""
    entities, *kinds = np.array(counts).T
    left = np.zeros(len(entities))
    for kind, (_, colour, text) in zip(kinds, KIND_STYLES, strict=True):
        shares = 100 * kind / np.maximum(entities, 1)
        bars = axes.barh(range(len(left)), shares, left=left, height=0.74, color=colour)
        numbers = [f"{share:.0f}" if share >= LEAST_NAMED else "" for share in shares]
        axes.bar_label(bars, numbers, label_type="center", **text_style(8, text))
        left += shares
    for row, count in enumerate(entities):
        axes.text(102, row, f"{count:,}", va="center_baseline", **text_style(8.5, QUIET))
    axes.axhline(len(counts) - 1.5, color=RULE, linewidth=1)
    axes.set_xlim(0, 100)
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.set_xticks([])
