"""Figures as PNG, SVG and PDF: Chinese glyphs, no global state, the same bytes for the same data.

Matplotlib is used by its objects, never by pyplot. Import this module only where a figure is drawn.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import font_manager, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

from chmed_ner.entities import Label
from chmed_ner.report.formats import FORMATS
from chmed_ner.report.words import ENGLISH, LANGUAGE, SIMPLIFIED, speaking, type_name

DPI = 110
TEXT, QUIET, RULE = "#16191d", "#5b646e", "#dfe3e8"
COLOURS = ("#2166ac", "#d1733b", "#2f8f6b", "#8a5aab", "#b0413e", "#8a97a6")
FACES = {SIMPLIFIED: 2}
TAIWAN = 3
"""The faces of the font collection with the glyph forms of mainland China, and of Taiwan."""
Pictures = Mapping[str, bytes]
"""A figure by format."""

log = logging.getLogger(__name__)


@lru_cache
def chinese_font() -> Path | None:
    """The font with Chinese glyphs; None where its package is missing, which is said once."""
    try:
        from noto_cjk_sans_otc import FONT_PATH
    except ImportError:
        log.warning(
            "figures: no font for Chinese, so they are in English; pip install noto-cjk-sans-otc"
        )
        return None
    return Path(FONT_PATH)


@contextmanager
def legible() -> Iterator[None]:
    """During the block figures speak English where there is no font for Chinese."""
    with speaking(ENGLISH if chinese_font() is None else LANGUAGE.get()):
        yield


def text_style(size: float, colour: str = TEXT) -> dict[str, Any]:
    """Keywords of a text of `size` points, in a font with Chinese glyphs; `$` is not special."""
    path = chinese_font()
    face = getattr(font_manager, "FontPath", None)  # matplotlib before 3.11 knows the first only
    if path is None:
        font = FontProperties(size=size)
    elif face is None:
        font = FontProperties(fname=str(path), size=size)
    else:
        number = FACES.get(LANGUAGE.get(), TAIWAN)
        font = FontProperties(fname=face(str(path), number), size=size)
    return {"fontproperties": font, "color": colour, "parse_math": False}


def spoken(label: Label) -> str:
    """An entity type as figures name it: its tag, in Chinese with its name, `DISE 疾病`."""
    name = type_name(label)
    return label.tag if name == label.tag else f"{label.tag} {name}"


def new_figure(width: float, height: float, title: str, subtitle: str = "") -> Figure:
    """An empty figure of `width` x `height` inches with a title, and a quiet line below it."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.22 / width, 1 - 0.16 / height, title, va="top", **text_style(13))
    figure.text(0.22 / width, 1 - 0.5 / height, subtitle, va="top", **text_style(9, QUIET))
    return figure


def add_axes(figure: Figure, left: float, bottom: float, right: float, top: float) -> Any:
    """Axes without a frame; the margins around them in inches."""
    width, height = figure.get_size_inches()
    across, up = width - left - right, height - bottom - top
    axes = figure.add_axes((left / width, bottom / height, across / width, up / height))
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, pad=5)
    return axes


def f1_axis(axes: Any, title: str = "") -> None:
    """Give axes the scale of an F1, from 0 to 100, and a title."""
    ticks = range(0, 101, 20)
    axes.set_ylim(0, 100)
    axes.set_yticks(ticks, [str(tick) for tick in ticks], **text_style(8.5, QUIET))
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_title(title, loc="left", pad=9, **text_style(10))


def name_places(axes: Any, names: Sequence[str]) -> None:
    """Name the places 0, 1, 2 ... of the horizontal axis."""
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xticks(range(len(names)), names, **text_style(9))


def grouped_bars(
    axes: Any, groups: Sequence[tuple[str, Sequence[float | None]]], digits: int, points: float
) -> None:
    """At each place a bar of each group, (colour, heights by place), with its figure above it."""
    width = 0.84 / max(1, len(groups))
    for number, (colour, heights) in enumerate(groups):
        offset = (number - (len(groups) - 1) / 2) * width
        known = {place: height for place, height in enumerate(heights) if height is not None}
        places = [place + offset for place in known]
        bars = axes.bar(places, list(known.values()), width=0.9 * width, color=colour)
        axes.bar_label(bars, fmt=f"%.{digits}f", padding=1, **text_style(points))


def add_legend(figure: Figure, entries: Iterable[tuple[str, str, str]], **where: Any) -> None:
    """Names with their colours and markers; `where` is what matplotlib's `legend` takes."""
    keys = [
        Line2D([], [], linestyle="", marker=marker, color=colour, label=name, markersize=6)
        for name, colour, marker in entries
    ]
    font = text_style(9)["fontproperties"]
    legend = figure.legend(
        handles=keys, prop=font, labelcolor=TEXT, frameon=False, handletextpad=0.2, **where
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def pictures(figure: Figure, formats: Iterable[str] = tuple(FORMATS)) -> Pictures:
    """The figure in each of the formats."""
    found = {}
    for name in formats:
        buffer = BytesIO()
        with rc_context({"svg.hashsalt": "chmed_ner"}):  # else its ids differ each time
            figure.savefig(buffer, format=name, dpi=DPI, metadata=FORMATS[name])
        found[name] = buffer.getvalue()
    return found
