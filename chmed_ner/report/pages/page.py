"""`report.html` of a run: one file that needs no network, to be looked at by people."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.types import Completion, Sentence, Span
from chmed_ner.files import replacing
from chmed_ner.report.pages.document import closing, explorer_script, opening
from chmed_ner.report.pages.explorer import (
    FIRST_KIND,
    OUTLINED,
    Explorer,
    Item,
    Kind,
    Row,
    by_sentence,
    spans_of,
    used_types,
)
from chmed_ner.report.pages.marks import ERROR_NAMES, entity_marks
from chmed_ner.report.pages.metric_tables import full_list, headline, metric_tables
from chmed_ner.report.pages.style import style_sheet
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
    `Sentence.text`; without them nothing is told seen from unseen.
    Whatever the data holds is shown as text; characters that act or cannot be seen are shown as
    `U+XXXX`.

    Raises InputError for a sentence without an entry in `spans`, and for entities that overlap or
    leave their sentence; `path` is then as it was before.
    """
    marks = entity_marks(labels)
    all_spans = [s for each in sentences for s in (*each.entities, *spans_of(spans, each))]
    explorer = Explorer(
        genres=list(dict.fromkeys(sentence.genre for sentence in sentences)),
        types=used_types(marks, all_spans),
        marks=marks,
        lines=("標準", "預測"),
        kinds=[Kind(ERROR_NAMES.get(kind, "正確"), kind in ERROR_NAMES) for kind in KINDS],
        any_="有錯誤",
        none="整句無誤",
        seen=training_mentions is not None,
    )
    style = style_sheet(len(labels.tags))
    script = explorer_script() if sentences else ""
    with replacing(path) as file:
        file.write(opening(title, style, script, skip=("list", "跳到測試句")))
        file.write(f"<h2>測試成績</h2>\n{headline(metrics)}")
        if tables := metric_tables(metrics, sentences, marks):
            file.write(f"<h2>分項</h2>\n{tables}")
        file.write(full_list(metrics))
        file.write(f'<h2 id="list">測試句（{len(sentences):,}）</h2>\n')
        if not sentences:
            file.write(f"<p>這次執行沒有測試句。</p>\n{closing()}")
            return
        file.write(marks.legend("與另一行不一致") + explorer.frame())
        rows = _rows(sentences, spans, completions, training_mentions)
        file.write(closing(explorer.data(rows), script))


def _rows(
    sentences: Sequence[Sentence],
    spans: Mapping[str, Sequence[Span]],
    completions: Sequence[Completion],
    training_mentions: Collection[str] | None,
) -> Iterator[Row]:
    answers = by_sentence("模型輸出", completions)
    known = None if training_mentions is None else frozenset(training_mentions)
    for sentence in sentences:
        predicted = spans_of(spans, sentence)
        found = pairings(sentence.entities, predicted)
        wrong = [pairing for pairing in found if pairing.kind != "correct"]
        yield Row(
            sentence,
            (
                _marked(sentence.entities, _gold_marks(wrong)),
                _marked(predicted, _predicted_marks(wrong)),
            ),
            [_item(sentence, pairing, known) for pairing in found],
            answers.get(sentence.id, ()),
        )


def _item(sentence: Sentence, pairing: Pairing, known: Collection[str] | None) -> Item:
    """A spurious entity is seen or unseen by its own string, any other by the gold one's."""
    ends = [span for span in (pairing.gold, pairing.predicted) if span is not None]
    seen = None if known is None else sentence.text[ends[0].start : ends[0].end] in known
    return Item(_NUMBERS[pairing.kind], tuple(span.type for span in ends), seen)


def _marked(entities: Sequence[Span], marks: Mapping[Span, int]) -> list[tuple[Span, int]]:
    return [(span, marks.get(span, 0)) for span in entities]


def _gold_marks(wrong: Sequence[Pairing]) -> dict[Span, int]:
    """The gold entities in error; only a missed one is named here, the others one line below."""
    missed = FIRST_KIND + _NUMBERS["missed"]
    return {
        pairing.gold: missed if pairing.kind == "missed" else OUTLINED
        for pairing in wrong
        if pairing.gold
    }


def _predicted_marks(wrong: Sequence[Pairing]) -> dict[Span, int]:
    return {
        pairing.predicted: FIRST_KIND + _NUMBERS[pairing.kind]
        for pairing in wrong
        if pairing.predicted
    }
