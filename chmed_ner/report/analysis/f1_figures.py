"""F1 of parts of the entities: by length, by sentence length, seen and unseen, one character."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from chmed_ner.entities.types import Scores
from chmed_ner.report.analysis.breakdown import ALL, Breakdown
from chmed_ner.report.figures import (
    COLOURS,
    QUIET,
    add_axes,
    add_legend,
    f1_axis,
    grouped_bars,
    name_places,
    new_figure,
    png,
    text_style,
)
from chmed_ner.score.breakdowns import SEEN, UNSEEN
from chmed_ner.score.spans import total

TOGETHER = "#414a54"
FEW = 20
"""Gold entities; the figure of fewer is drawn hollow, it says little."""

Parts = Mapping[str, Scores]


def length_figure(genres: Mapping[str, Breakdown]) -> bytes:
    """F1 over entity length and over sentence length, a line for each genre, as a PNG."""
    figure = new_figure(
        10.4,
        4.4,
        "F1 與長度",
        f"橫軸下方的小字為標準答案的實體數；空心點的實體不足 {FEW} 個",
    )
    panels = (
        ("實體長度（字）", {genre: each.entity_length for genre, each in genres.items()}, 0.75),
        ("句子長度（字）", {genre: each.sentence_length for genre, each in genres.items()}, 5.75),
    )
    for title, parts, left in panels:
        axes = add_axes(figure, left, 0.75, 10.4 - left - 4.4, 1.25)
        f1_axis(axes, title)
        _categories(axes, parts[ALL])
        for genre, colour in _shown(parts):
            _line(axes, parts[genre], colour)
    _legend(figure, _shown(genres))
    return png(figure)


def string_figure(genres: Mapping[str, Breakdown]) -> bytes:
    """F1 of strings seen and unseen in training, of one character and longer, as a PNG."""
    figure = new_figure(
        8.2,
        4.0,
        "F1 與字串",
        "「見過」的字串在訓練資料中是實體；橫軸下方的小字為標準答案的實體數",
    )
    parts = {genre: _strings(each) for genre, each in genres.items()}
    axes = add_axes(figure, 0.75, 0.75, 0.3, 1.05)
    f1_axis(axes)
    _categories(axes, parts[ALL])
    shown = _shown(genres)
    groups = [(colour, _heights(parts[genre])) for genre, colour in shown]
    grouped_bars(axes, groups, 1, min(9.0, 27 / len(shown)))
    _legend(figure, shown)
    return png(figure)


def _strings(found: Breakdown) -> dict[str, Scores]:
    longer = dict(found.entity_length)
    one = longer.pop(next(iter(longer)))
    return {
        "見過 seen": found.seen[SEEN],
        "未見 unseen": found.seen[UNSEEN],
        "單字 one character": one,
        "多字 longer": total(longer),
    }


def _heights(parts: Parts) -> list[float | None]:
    return [each.f1 if each.gold or each.predicted else None for each in parts.values()]


def _shown(genres: Mapping[str, Any]) -> list[tuple[str, str]]:
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
    points = [(x, each) for x, each in enumerate(parts.values()) if each.gold or each.predicted]
    places, figures = [x for x, _ in points], [each.f1 for _, each in points]
    axes.plot(places, figures, color=colour, linewidth=1.6, clip_on=False)
    for x, each in points:
        fill = colour if each.gold >= FEW else "white"
        axes.plot(x, each.f1, "o", color=colour, markerfacecolor=fill, markersize=5, clip_on=False)


def _legend(figure: Any, shown: Sequence[tuple[str, str]]) -> None:
    """Genres and their colours, to the right of the title."""
    named = [("全部 all" if genre == ALL else genre, colour, "o") for genre, colour in shown]
    add_legend(figure, named, loc="upper right", ncols=len(named), columnspacing=1)
