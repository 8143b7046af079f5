"""A page of two runs on the same sentences: what one gets right and the other wrong."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from chmed_ner.report.pages.html_table import html_table
from chmed_ner.report.pages.marks import entity_marks
from chmed_ner.report.pages.style import style_sheet
from chmed_ner.report.pages.visible import visible
from chmed_ner.score.significance import Comparisons, Estimate

KINDS = (
    Kind("兩者皆對", False),
    Kind("只有 A 對", True),
    Kind("只有 B 對", True),
    Kind("兩者皆錯", False),
)
BOTH, ONLY_A, ONLY_B, NEITHER = range(4)
"""A gold entity is got right by being predicted exactly, a wrong one by not being predicted."""


@dataclass(frozen=True, slots=True)
class Side:
    """One run: its name, where it lies, its entities by sentence id, its completions."""

    name: str
    place: str
    spans: Mapping[str, Sequence[Span]]
    completions: Sequence[Completion] = ()


def write_comparison_page(
    path: Path,
    *,
    first: Side,
    second: Side,
    sentences: Sequence[Sentence],
    figures: Comparisons,
    labels: LabelScheme,
) -> None:
    """Write the page of run A (`first`) and run B (`second`) to `path`, atomically.

    `figures`: their scores, as `chmed_ner.score.significance.compare_counts` gives them. Raises
    InputError as `chmed_ner.report.page.write_page` does.
    """
    marks = entity_marks(labels)
    sides = (first.spans, second.spans)
    all_spans = [
        span
        for each in sentences
        for spans in (each.entities, *(spans_of(side, each) for side in sides))
        for span in spans
    ]
    explorer = Explorer(
        genres=list(dict.fromkeys(sentence.genre for sentence in sentences)),
        types=used_types(marks, all_spans),
        marks=marks,
        lines=("標準", "A", "B"),
        kinds=KINDS,
        any_="有一方對、一方錯",
        none="對錯相同的句子",
    )
    rows = list(_rows(sentences, first, second))
    style, script = style_sheet(len(labels.tags)), explorer_script()
    with replacing(path) as file:
        title = f"A：{first.name}　B：{second.name}"
        file.write(opening(title, style, script, skip=("list", "跳到測試句")))
        for letter, side in (("A", first), ("B", second)):
            file.write(
                f"<p>{letter}：{visible(side.name)} <code>{visible(side.place)}</code></p>\n"
            )
        file.write(f"<h2>比較</h2>\n{_scores(figures)}{_counts(rows)}\n")
        file.write(f'<h2 id="list">測試句（{len(sentences):,}）</h2>\n')
        file.write(marks.legend("與標準不一致，或只有一方對"))
        file.write(explorer.frame() + closing(explorer.data(rows), script))


def _rows(sentences: Sequence[Sentence], first: Side, second: Side) -> Iterator[Row]:
    answers = (
        by_sentence("A 的輸出", first.completions),
        by_sentence("B 的輸出", second.completions),
    )
    for sentence in sentences:
        gold = sentence.entities
        a, b = spans_of(first.spans, sentence), spans_of(second.spans, sentence)
        kinds = _kinds(gold, a, b)
        named = {
            span: FIRST_KIND + kind for span, kind in kinds.items() if kind in (ONLY_A, ONLY_B)
        }
        yield Row(
            sentence,
            (
                [(span, named.get(span, 0)) for span in gold],
                *([(s, 0 if s in gold else OUTLINED) for s in side] for side in (a, b)),
            ),
            [Item(kind, (span.type,)) for span, kind in kinds.items()],
            [each for side in answers for each in side.get(sentence.id, ())],
        )


def _kinds(gold: Sequence[Span], a: Sequence[Span], b: Sequence[Span]) -> dict[Span, int]:
    """The kind of each gold entity and of each wrong one that a run predicts."""
    kinds = {}
    for span in dict.fromkeys((*gold, *a, *b)):
        right = ((span in a) == (span in gold), (span in b) == (span in gold))
        kinds[span] = {
            (True, True): BOTH,
            (True, False): ONLY_A,
            (False, True): ONLY_B,
            (False, False): NEITHER,
        }[right]
    return kinds


def _scores(found: Comparisons) -> str:
    rows = [
        (
            visible(name),
            [
                f"{each.sentences:,}",
                _shown(each.first),
                _shown(each.second),
                _shown(each.difference, "+"),
                f"{each.p_value:.4f}",
            ],
        )
        for name, each in (("macro", found.macro), *found.genres.items())
    ]
    return html_table("F1（%）與 95% 區間", ["", "句數", "A", "B", "B − A", "p"], rows)


def _shown(estimate: Estimate, sign: str = "") -> str:
    f1, low, high = (f"{x:{sign}.2f}" for x in (estimate.f1, estimate.low, estimate.high))
    return f"{f1} <small>{low} – {high}</small>"


def _counts(rows: Sequence[Row]) -> str:
    """How many gold entities, and how many wrong predictions, are of each kind."""
    gold, wrong = Counter[int](), Counter[int]()
    for row in rows:
        spans = {span for span, _ in row.lines[0]}
        kinds = _kinds(row.sentence.entities, *([s for s, _ in line] for line in row.lines[1:]))
        for span, kind in kinds.items():
            (gold if span in spans else wrong)[kind] += 1
    listed = [
        (kind.name, [f"{gold[number]:,}", f"{wrong[number]:,}" if number != BOTH else "–"])
        for number, kind in enumerate(KINDS)
    ]
    return html_table("實體數", ["", "標準實體", "錯誤的預測"], listed)
