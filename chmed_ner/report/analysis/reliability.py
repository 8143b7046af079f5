"""The reliability diagram of a run: what comes true of what its confidences say."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from chmed_ner.report.analysis.figures import colours_of, genre_legend
from chmed_ner.report.figures import (
    QUIET,
    RULE,
    add_axes,
    f1_axis,
    new_figure,
    text_style,
)
from chmed_ner.report.words import say
from chmed_ner.score import Bin


def reliability_figure(genres: Mapping[str, Sequence[Bin]]) -> Figure:
    """The share that is right over the mean confidence, a line for each genre; the area
    of a point grows with its entities. On the diagonal a confidence keeps its word."""
    note = say(
        "A point: entities of like confidence, the larger the more; below the diagonal: too sure"
    )
    figure = new_figure(6.2, 6.3, say("Confidence and precision"), note)
    axes = add_axes(figure, 0.75, 0.75, 0.4, 1.25)
    f1_axis(axes, say("Predicted entities that are right (%)"))
    axes.set_xlim(0, 100)
    ticks = range(0, 101, 20)
    axes.set_xticks(ticks, [str(tick) for tick in ticks], **text_style(8.5, QUIET))
    axes.set_xlabel(say("Confidence of the model (%)"), labelpad=6, **text_style(9.5))
    axes.plot((0, 100), (0, 100), color=RULE, linewidth=1.6)
    most = max(each.entities for found in genres.values() for each in found)
    for genre, colour in colours_of(genres):
        found = genres[genre]
        sure, right = ([100 * getattr(b, side) for b in found] for side in ("confidence", "right"))
        axes.plot(sure, right, color=colour, linewidth=1.4, clip_on=False)
        sizes = [8 + 60 * each.entities / most for each in found]
        axes.scatter(sure, right, s=sizes, color=colour, clip_on=False, zorder=3)
    genre_legend(figure, colours_of(genres))
    return figure
