"""Errors drawn: which type was taken for which; what became of the entities of each type."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chmed_ner.entities.labels import Label
from chmed_ner.report.analysis.breakdown import by_kind
from chmed_ner.report.figures import (
    QUIET,
    RULE,
    TEXT,
    add_axes,
    add_legend,
    new_figure,
    png,
    spoken,
    text_style,
)
from chmed_ner.score.error_kinds import Confusion

RIGHT, WRONG = np.array([0.07, 0.42, 0.35]), np.array([0.80, 0.30, 0.10])
MISSED, SPURIOUS = "漏標 missed", "多標 spurious"

Matrix = NDArray[np.int64]


def confusion_matrix(found: Mapping[Confusion, int], types: Sequence[str]) -> Matrix:
    """Entities by gold type (rows) and predicted type (columns), in the order of `types`.

    The last column holds the missed ones, the last row the spurious ones; so a row adds up to the
    gold entities of its type, a column to the predicted ones. An entity with a wrong boundary
    counts where its types say.
    """
    place: dict[str | None, int] = {type_: number for number, type_ in enumerate((*types, None))}
    matrix = np.zeros((len(types) + 1, len(types) + 1), dtype=np.int64)
    for (gold, predicted, _), count in found.items():
        matrix[place[gold], place[predicted]] += count
    return matrix


def confusion_figure(found: Mapping[Confusion, int], labels: Sequence[Label]) -> bytes:
    """The matrix as a PNG; a cell's colour is its share of its row."""
    matrix = confusion_matrix(found, [label.tag for label in labels])
    size = len(matrix)
    cell = min(0.62, 9.0 / size)
    boundary = sum(n for (_, _, kind), n in found.items() if kind == "boundary")
    figure = new_figure(
        cell * size + 2.75,
        cell * size + 2.2,
        "類型混淆：列為標準答案，欄為預測",
        f"每格為實體數，顏色為占該列的比例；對角線含邊界不符的 {boundary:,} 個",
    )
    axes = add_axes(figure, 1.65, 0.3, 1.1, 1.9)
    axes.imshow(_colours(matrix), aspect="auto", interpolation="nearest")
    _grid(axes, size)
    _ticks(axes, matrix, [spoken(label) for label in labels])
    _numbers(axes, matrix, min(9.0, cell * 14.5))
    return png(figure)


def _colours(matrix: Matrix) -> NDArray[np.float64]:
    """RGB of each cell, shape (rows, columns, 3): white where it is empty."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    hue = np.where(np.eye(len(matrix), dtype=bool)[..., None], RIGHT, WRONG)
    colours: NDArray[np.float64] = 1 - (share**0.6)[..., None] * (1 - hue)
    return colours


def _grid(axes: Any, size: int) -> None:
    lines = np.arange(size + 1) - 0.5
    axes.set_xticks(lines, minor=True)
    axes.set_yticks(lines, minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(which="minor", color=RULE, linewidth=0.8)
    for line in (axes.axhline, axes.axvline):
        line(size - 1.5, color=QUIET, linewidth=1.2)


def _ticks(axes: Any, matrix: Matrix, names: Sequence[str]) -> None:
    """Names to the left and above; what a row or a column adds up to, to the right and below."""
    size = len(matrix)
    axes.xaxis.tick_top()
    axes.set_xticks(range(size))
    axes.set_xticklabels(
        [*names, MISSED], rotation=45, ha="left", rotation_mode="anchor", **text_style(9)
    )
    axes.set_yticks(range(size))
    axes.set_yticklabels([*names, SPURIOUS], **text_style(9))
    quiet, end = text_style(8.5, QUIET), size - 0.35
    for number, (row, column) in enumerate(zip(matrix.sum(1), matrix.sum(0), strict=True)):
        axes.text(end, number, f"{row:,}", va="center", **quiet)
        axes.text(number, end, f"{column:,}", ha="center", va="top", **quiet)
    axes.text(end, -0.75, "合計", va="center", **quiet)


SAME_CONTRAST = 0.2
"""Relative luminance on which white and `TEXT` are equally easy to read."""


def luminance(colour: NDArray[np.float64]) -> float:
    """Relative luminance (WCAG 2), 0 to 1, of an sRGB colour: three values from 0 to 1."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def _numbers(axes: Any, matrix: Matrix, points: float) -> None:
    colours = _colours(matrix)
    light, dark = text_style(points, "white"), text_style(points, TEXT)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        text = light if luminance(colours[row, column]) < SAME_CONTRAST else dark
        axes.text(column, row, f"{matrix[row, column]:,}", ha="center", va="center", **text)


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
        axes = add_axes(figure, left, 0.62, 10.4 - left - 3.35, 1.1)
        _bars(axes, counts)
        axes.set_yticks(range(len(rows)))
        axes.set_yticklabels(names if side == 0 else [""] * len(rows), **text_style(9))
        axes.set_title(title, loc="left", pad=7, **text_style(10))
    add_legend(
        figure,
        [(name, colour, "s") for name, colour, _ in KIND_STYLES],
        loc="lower center",
        ncols=len(KIND_STYLES),
    )
    return png(figure)


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
