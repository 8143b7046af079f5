"""`analysis/` of a run: why it fails, as CSV tables and figures. README.md here lists the files."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from chmed_ner.entities.labels import Label, LabelScheme
from chmed_ner.entities.types import Sentence, Span
from chmed_ner.files import write_bytes
from chmed_ner.report.analysis.breakdown import ALL, Breakdown, break_down, write_tables
from chmed_ner.report.analysis.error_figures import confusion_figure, error_figure
from chmed_ner.report.analysis.f1_figures import length_figure, string_figure
from chmed_ner.score.breakdowns import ScoredSentence

ANALYSIS_FOLDER = "analysis"


def write_analysis(
    directory: Path,
    *,
    sentences: Sequence[Sentence],
    spans: Mapping[str, Sequence[Span]],
    training_mentions: Collection[str],
    labels: LabelScheme,
) -> None:
    """Write the tables and figures of one run to `directory/analysis`, each file atomically.

    `sentences`: the test split; without any, nothing is written. `spans`: predicted entities by
    sentence id. `training_mentions`: the strings of the entities of the run's training split, in
    the script of `Sentence.text`. A type that is predicted, though the scheme does not have it,
    comes last, by its tag. The same arguments give the same bytes.

    Raises KeyError for a sentence without an entry in `spans`.
    """
    if not sentences:
        return
    scored: dict[str, list[ScoredSentence]] = {}
    for sentence in sentences:
        found = ScoredSentence(sentence.text, sentence.entities, spans[sentence.id])
        scored.setdefault(sentence.genre, []).append(found)
        scored.setdefault(ALL, []).append(found)
    groups = (*(genre for genre in scored if genre != ALL), ALL)
    genres = {genre: break_down(scored[genre], training_mentions) for genre in groups}
    types = _types(genres[ALL], labels)
    folder = directory / ANALYSIS_FOLDER
    write_tables(folder, genres, [label.tag for label in types])
    for name, content in (
        ("confusion", confusion_figure(genres[ALL].confusions, types)),
        ("errors_by_type", error_figure(genres[ALL].confusions, types)),
        ("f1_by_length", length_figure(genres)),
        ("f1_by_string", string_figure(genres)),
    ):
        write_bytes(folder / f"{name}.png", content)


def _types(found: Breakdown, labels: LabelScheme) -> list[Label]:
    """The scheme's types, then the others that occur."""
    met = {type_ for gold, predicted, _ in found.confusions for type_ in (gold, predicted)}
    extra = sorted(type_ for type_ in met - set(labels.tags) if type_ is not None)
    return [*labels.labels, *(Label(tag, tag, tag) for tag in extra)]
