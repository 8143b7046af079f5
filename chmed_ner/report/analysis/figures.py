"""The figures of a run's analysis: confusion of types, F1 by length and by string."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chmed_ner.entities import Label, Scores
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
    spoken,
    text_style,
)
from chmed_ner.report.words import say
from chmed_ner.score import ALL, SEEN, UNSEEN, Breakdown, Confusion, total

RIGHT, WRONG = np.array([0.07, 0.42, 0.35]), np.array([0.80, 0.30, 0.10])

_CELLS = (
    "Rows: gold, columns: predicted; a cell: entities, its colour their share of the row; "
    "on the diagonal {n} with a wrong boundary"
)
Matrix = NDArray[np.int64]


def types_in(found: Mapping[Confusion, int], labels: Sequence[Label]) -> list[Label]:
    """The types of a scheme, then the others that occur, by their tag."""
    met = {type_ for gold, predicted, _ in found for type_ in (gold, predicted) if type_}
    others = sorted(met - {label.tag for label in labels})
    return [*labels, *(Label(tag, tag, tag) for tag in others)]


def confusion_matrix(found: Mapping[Confusion, int], types: Sequence[str]) -> Matrix:
    """Entities by gold type (rows) and predicted type (columns), in the order of `types`; the last
    column holds the missed ones, the last row the spurious ones.
    """
    place: dict[str | None, int] = {type_: number for number, type_ in enumerate((*types, None))}
    matrix = np.zeros((len(types) + 1, len(types) + 1), dtype=np.int64)
    for (gold, predicted, _), count in found.items():
        matrix[place[gold], place[predicted]] += count
    return matrix


def confusion_figure(found: Mapping[Confusion, int], labels: Sequence[Label]) -> Figure:
    """The matrix; a cell's colour is its share of its row."""
    matrix = confusion_matrix(found, [label.tag for label in labels])
    size = len(matrix)
    cell = min(0.62, 9.0 / size)
    boundary = sum(n for (_, _, kind), n in found.items() if kind == "boundary")
    title = say("Confusion of types")
    note = say(_CELLS, n=f"{boundary:,}")
    figure = new_figure(cell * size + 2.75, cell * size + 2.2, title, note)
    axes = add_axes(figure, 1.65, 0.3, 1.1, 1.9)
    colours = _colours(matrix)
    axes.imshow(colours, aspect="auto", interpolation="nearest")
    _grid(axes, size)
    _ticks(axes, matrix, [spoken(label) for label in labels])
    points = min(9.0, cell * 14.5)
    light, dark = text_style(points, "white"), text_style(points, TEXT)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        text = light if luminance(colours[row, column]) < SAME_CONTRAST else dark
        axes.text(column, row, f"{matrix[row, column]:,}", ha="center", va="center", **text)
    return figure


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
    turned = {"rotation": 45, "ha": "left", "rotation_mode": "anchor"}
    axes.set_xticks(range(size), [*names, say("missed")], **turned, **text_style(9))
    axes.set_yticks(range(size), [*names, say("spurious")], **text_style(9))
    quiet, end = text_style(8.5, QUIET), size - 0.35
    for number, (row, column) in enumerate(zip(matrix.sum(1), matrix.sum(0), strict=True)):
        axes.text(end, number, f"{row:,}", va="center", **quiet)
        axes.text(number, end, f"{column:,}", ha="center", va="top", **quiet)
    axes.text(end, -0.75, say("sum"), va="center", **quiet)


SAME_CONTRAST = 0.2
"""Relative luminance on which white and `TEXT` are equally easy to read."""


def luminance(colour: NDArray[np.float64]) -> float:
    """Relative luminance (WCAG 2), 0 to 1, of an sRGB colour: three values from 0 to 1."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


TOGETHER = "#414a54"
FEW = 20
"""Gold entities; the figure of fewer is drawn hollow, it says little."""

Parts = Mapping[str, Scores]


def length_figure(genres: Mapping[str, Breakdown]) -> Figure:
    """F1 over entity length and over sentence length, a line for each genre."""
    note = say("Small figures below: gold entities; hollow: fewer than {few}", few=FEW)
    figure = new_figure(10.4, 4.4, say("F1 by length"), note)
    panels = (
        (
            say("Length of the entity (characters)"),
            {genre: each.entity_length for genre, each in genres.items()},
            0.75,
        ),
        (
            say("Length of the sentence (characters)"),
            {genre: each.sentence_length for genre, each in genres.items()},
            5.75,
        ),
    )
    for title, parts, left in panels:
        axes = add_axes(figure, left, 0.75, 10.4 - left - 4.4, 1.25)
        f1_axis(axes, title)
        _categories(axes, parts[ALL])
        for genre, colour in colours_of(parts):
            _line(axes, parts[genre], colour)
    genre_legend(figure, colours_of(genres))
    return figure


def string_figure(genres: Mapping[str, Breakdown]) -> Figure:
    """F1 of strings seen and unseen in training, of one character and longer."""
    note = say("Seen: an entity in the training data; small figures below: gold entities")
    figure = new_figure(8.2, 4.0, say("F1 by string"), note)
    parts = {genre: _strings(each) for genre, each in genres.items()}
    axes = add_axes(figure, 0.75, 0.75, 0.3, 1.05)
    f1_axis(axes)
    _categories(axes, parts[ALL])
    shown = colours_of(genres)
    groups = [
        (colour, [each.f1 if _met(each) else None for each in parts[genre].values()])
        for genre, colour in shown
    ]
    grouped_bars(axes, groups, 1, min(9.0, 27 / len(shown)))
    genre_legend(figure, shown)
    return figure


def _strings(found: Breakdown) -> dict[str, Scores]:
    first, *longer = found.entity_length
    return {
        say("seen"): found.seen[SEEN],
        say("not seen"): found.seen[UNSEEN],
        say("one character"): found.entity_length[first],
        say("longer"): total({name: found.entity_length[name] for name in longer}),
    }


def _met(scores: Scores) -> bool:
    return scores.gold + scores.predicted > 0


def colours_of(genres: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The genres to draw with their colours; all of them together only where there are several."""
    own = [genre for genre in genres if genre != ALL]
    coloured = list(zip(own, cycle(COLOURS), strict=False))
    return coloured if len(own) == 1 else [*coloured, (ALL, TOGETHER)]


def _categories(axes: Any, parts: Parts) -> None:
    """Names below the axis, and how many gold entities each has."""
    name_places(axes, list(parts))
    for number, scores in enumerate(parts.values()):
        axes.text(number, -13, f"{scores.gold:,}", ha="center", va="top", **text_style(8, QUIET))


def _line(axes: Any, parts: Parts, colour: str) -> None:
    points = {x: each for x, each in enumerate(parts.values()) if _met(each)}
    f1s = [each.f1 for each in points.values()]
    axes.plot(list(points), f1s, color=colour, linewidth=1.6, clip_on=False)
    for x, each in points.items():
        fill = colour if each.gold >= FEW else "white"
        axes.plot(x, each.f1, "o", color=colour, markerfacecolor=fill, markersize=5, clip_on=False)


def genre_legend(figure: Any, shown: Sequence[tuple[str, str]]) -> None:
    """Genres and their colours, to the right of the title."""
    named = [(say("all") if genre == ALL else genre, colour, "o") for genre, colour in shown]
    add_legend(figure, named, loc="upper right", ncols=len(named), columnspacing=1)
