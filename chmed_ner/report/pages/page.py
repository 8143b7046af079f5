"""`report.html` of a run: one file that needs no network, to be looked at by people."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.types import Completion, Sentence, Span
from chmed_ner.report.pages.explorer import (
    FIRST_KIND,
    OUTLINED,
    Explorer,
    ShownEntity,
    ShownSentence,
    by_sentence,
    spans_of,
)
from chmed_ner.report.pages.marks import ERROR_NAMES, EntityMarks
from chmed_ner.report.pages.metric_tables import full_list, headline, metric_tables
from chmed_ner.score.error_kinds import KINDS, Pairing, pairings

_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}


def write_page(
    path: Path,
    *,
    title: str,
    sentences: Sequence[Sentence],
    spans: Mapping[str, Sequence[Span]],
    completions: Sequence[Completion],
    metrics: Mapping[str, float],
    labels: LabelScheme,
    training_mentions: Collection[str] | None = None,
) -> None:
    """Write the page of one run to `path`, atomically.

    `spans`: predicted entities by sentence id; entries of other sentences are not shown, nor are
    their `completions`. `metrics`: `{metric name: number}` as in metrics.json, possibly empty.
    `training_mentions`: the strings of the run's training entities, in the script of
    `Sentence.text`; without them seen and unseen strings are not told apart.
    Whatever the data holds is shown as text; characters that act or cannot be seen are shown as
    `U+XXXX`.

    Raises InputError for a sentence without an entry in `spans`, and for entities that overlap or
    leave their sentence; `path` is then as it was before.
    """
    marks = EntityMarks(labels)
    explorer = Explorer(
        list(_shown(sentences, spans, completions, training_mentions)),
        marks,
        lines=("標準", "預測"),
        kinds={ERROR_NAMES.get(kind, "正確"): kind in ERROR_NAMES for kind in KINDS},
        any_="有錯誤",
        none="整句無誤",
        seen=training_mentions is not None,
    )
    tables = metric_tables(metrics, sentences, marks)
    above = f"<h2>測試成績</h2>\n{headline(metrics)}"
    above += (f"<h2>分項</h2>\n{tables}" if tables else "") + full_list(metrics)
    explorer.write(path, title, above, "與另一行不一致")


def _shown(
    sentences: Sequence[Sentence],
    spans: Mapping[str, Sequence[Span]],
    completions: Sequence[Completion],
    training_mentions: Collection[str] | None,
) -> Iterator[ShownSentence]:
    answers = by_sentence("模型輸出", completions)
    known = None if training_mentions is None else frozenset(training_mentions)
    for sentence in sentences:
        predicted = spans_of(spans, sentence)
        found = pairings(sentence.entities, predicted)
        gold_marks, predicted_marks = _marks(found)
        yield ShownSentence(
            sentence,
            (
                [(span, gold_marks.get(span, 0)) for span in sentence.entities],
                [(span, predicted_marks.get(span, 0)) for span in predicted],
            ),
            [_entity(sentence, pairing, known) for pairing in found],
            answers.get(sentence.id, ()),
        )


def _entity(sentence: Sentence, pairing: Pairing, known: Collection[str] | None) -> ShownEntity:
    """A spurious entity is seen or unseen by its own string, any other by the gold one's."""
    ends = [span for span in (pairing.gold, pairing.predicted) if span is not None]
    seen = None if known is None else sentence.mention(ends[0]) in known
    return ShownEntity(_NUMBERS[pairing.kind], tuple(span.type for span in ends), seen)


def _marks(found: Sequence[Pairing]) -> tuple[dict[Span, int], dict[Span, int]]:
    """The marks of the gold and of the predicted entities in error; of the gold ones only a missed
    one is named, the others are named one line below."""
    gold: dict[Span, int] = {}
    predicted: dict[Span, int] = {}
    for pairing in found:
        if pairing.kind == "correct":
            continue
        named = FIRST_KIND + _NUMBERS[pairing.kind]
        if pairing.gold:
            gold[pairing.gold] = named if pairing.kind == "missed" else OUTLINED
        if pairing.predicted:
            predicted[pairing.predicted] = named
    return gold, predicted
