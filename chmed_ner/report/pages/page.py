"""`report.html` of a run: one file that needs no network, to be looked at by people.

The metrics are those of `chmed_ner.score.metrics`; a table whose metrics are absent is left out.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from chmed_ner.entities import Completion, LabelScheme, Sentence, Span, pieces
from chmed_ner.report.pages.document import ERROR_NAMES, EntityMarks, html_table, visible
from chmed_ner.report.pages.explorer import FIRST_KIND, OUTLINED, Explorer
from chmed_ner.report.pages.shown import ShownEntity, ShownSentence, by_sentence, spans_of
from chmed_ner.score import ERROR_KINDS, Pairing, pairings

Metrics = Mapping[str, float]

_FIGURES = (("precision", "精確率 P"), ("recall", "召回率 R"), ("f1", "F1"))
_POLICY_COLUMNS = (("f1", "F1"), ("ceiling_f1", "上限"), ("target_ceiling_f1", "目標格式上限"))
_REASONS = {
    "unparsable_line": "無法解析的行",
    "unknown_label": "未知類別",
    "not_in_sentence": "不在句中",
    "repeated_line": "重複的行",
    "altered_copy": "抄寫與原句不同",
    "repaired": "修復後讀取的 JSON",
    "none_word": "以無、沒有等詞充當實體",
    "draft": "答案之外的草稿或後續對話",
    "unread": "讀不出任何答案",
    "truncated": "輸出被截斷",
    "empty": "空白輸出",
    "refused": "拒答",
    "cut": "停止字串截去的內容",
    "off_grammar": "不合文法的輸出",
    "problem": "任何問題",
}
_MORE = (
    ("test/tag_f1", "逐字標記 F1"),
    ("test/seen_f1", "訓練中見過的實體 F1"),
    ("test/unseen_f1", "訓練中未見的實體 F1"),
    ("infer/mention_f1", "還原位置前的提及 F1"),
)
_NUMBERS = {kind: number for number, kind in enumerate(ERROR_KINDS)}


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
    """Write the page of one run to `path`, atomically; `spans` are the entities by sentence id.

    Without `training_mentions` seen and unseen strings are not told apart. InputError: a sentence
    has no entry in `spans`, or an entity leaves its sentence.
    """
    marks = EntityMarks(labels)
    explorer = Explorer(
        list(_shown(sentences, spans, completions, training_mentions)),
        marks,
        lines=("標準", "預測"),
        kinds={ERROR_NAMES.get(kind, "正確"): kind in ERROR_NAMES for kind in ERROR_KINDS},
        any_="有錯誤",
        none="整句無誤",
        seen=training_mentions is not None,
        sure="信心" if metrics.get("confidence/calibrated") else "信心（未校準）",
    )
    tables = _metric_tables(metrics, sentences, marks)
    above = f"<h2>測試成績</h2>\n{_headline(metrics)}"
    above += (f"<h2>分項</h2>\n{tables}" if tables else "") + _full_list(metrics)
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
            [each for _, piece in pieces(sentence, answers) for each in answers.get(piece.id, ())],
        )


def _entity(sentence: Sentence, pairing: Pairing, known: Collection[str] | None) -> ShownEntity:
    """A spurious entity is seen or unseen by its own string, any other by the gold one's."""
    ends = [span for span in (pairing.gold, pairing.predicted) if span is not None]
    seen = None if known is None else sentence.mention(ends[0]) in known
    sure = pairing.predicted.confidence if pairing.predicted else None
    return ShownEntity(_NUMBERS[pairing.kind], tuple(span.type for span in ends), seen, sure)


def _marks(found: Sequence[Pairing]) -> tuple[dict[Span, int], dict[Span, int]]:
    """The marks of the gold and of the predicted entities in error; of the gold ones only a missed
    one is named."""
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


def _headline(metrics: Metrics) -> str:
    """Precision, recall and F1 over the genres, F1 with its 95% interval; a notice without them."""
    if "test/f1" not in metrics:
        return "<p>這次執行沒有測試分數。</p>\n"
    interval = ""
    if {"test/f1_low", "test/f1_high"} <= metrics.keys():
        low, high = _figure(metrics, "test/f1_low"), _figure(metrics, "test/f1_high")
        interval = f"<small>95% 區間 {low}–{high}</small>"
    figures = [
        f"<div><dt>{name}</dt><dd>{_figure(metrics, f'test/{figure}')}"
        f"{interval if figure == 'f1' else ''}</dd></div>"
        for figure, name in (_FIGURES[-1], *_FIGURES[:-1])
    ]
    return f'<dl class="figures">{"".join(figures)}</dl>\n'


def _metric_tables(metrics: Metrics, sentences: Sequence[Sentence], marks: EntityMarks) -> str:
    """Every table but the headline, in reading order; empty when there are no metrics."""
    genres = [parts[1] for parts in _parts(metrics, "test", 3) if parts[2] == "f1"]
    errors = [
        (name, [f"{metrics[f'error/{kind}']:,.0f}"])
        for kind, name in ERROR_NAMES.items()
        if f"error/{kind}" in metrics
    ]
    others = [(name, [_figure(metrics, key)]) for key, name in _MORE if key in metrics]
    tables = [
        _genre_table(metrics, sentences, genres),
        _type_table(metrics, sentences, genres, marks),
        _nesting_table(metrics),
        _restoration_table(metrics),
        _problem_table(metrics),
        html_table("實體錯誤（個數）", ["錯誤", "個數"], errors),
        html_table("其他 F1（%）", ["", "F1"], others),
    ]
    if not any(tables):
        return ""
    return f'<div class="tables">\n{"".join(tables)}</div>\n'


def _full_list(metrics: Metrics) -> str:
    """Every metric by its name in MLflow, folded away."""
    rows = [(f"<code>{visible(name)}</code>", [f"{value:,.6g}"]) for name, value in metrics.items()]
    table = html_table("metrics.json 的全部內容", ["名稱", "數值"], rows)
    return f"<details><summary>全部指標</summary>{table}</details>\n" if rows else ""


def _genre_table(metrics: Metrics, sentences: Sequence[Sentence], genres: Sequence[str]) -> str:
    size = Counter(sentence.genre for sentence in sentences)
    rows = [
        (visible(genre), [f"{size[genre]:,}", *_cells(metrics, f"test/{genre}", _FIGURES)])
        for genre in genres
    ]
    columns = ["文類", "句數", *(name for _, name in _FIGURES)]
    return html_table("各文類（%）", columns, rows)


def _type_table(
    metrics: Metrics, sentences: Sequence[Sentence], genres: Sequence[str], marks: EntityMarks
) -> str:
    gold = Counter((s.genre, span.type) for s in sentences for span in s.entities)
    scored = {parts[2] for parts in _parts(metrics, "test", 4) if parts[3] == "f1"}
    types = [type_ for type_ in marks.classes if type_ in scored]
    rows = [
        (
            marks.mark(type_, type_),
            [
                f"{_figure(metrics, f'test/{genre}/{type_}/f1')} "
                f"<small>{gold[genre, type_]:,}</small>"
                for genre in genres
            ],
        )
        for type_ in [*types, *sorted(scored - set(types))]
    ]
    return html_table("各類別的 F1（%；小字為標準實體數）", ["類別", *map(visible, genres)], rows)


def _nesting_table(metrics: Metrics) -> str:
    rows = [
        (name, _cells(metrics, f"nested/{part}", _FIGURES))
        for part, name in (("outermost", "最外層"), ("inside", "在其他實體之內"))
        if f"nested/{part}/f1" in metrics
    ]
    return html_table("巢狀實體（%）", ["實體", *(name for _, name in _FIGURES)], rows)


def _restoration_table(metrics: Metrics) -> str:
    policies = dict.fromkeys(parts[1] for parts in _parts(metrics, "restore", 3))
    rows = [
        (f"<code>{visible(policy)}</code>", _cells(metrics, f"restore/{policy}", _POLICY_COLUMNS))
        for policy in policies
    ]
    columns = ["策略", *(name for _, name in _POLICY_COLUMNS)]
    return html_table("位置還原策略的 F1（%）", columns, rows)


def _problem_table(metrics: Metrics) -> str:
    rates = [rate for _, rate in _parts(metrics, "parse", 2) if rate.endswith("_rate")]
    reasons = [rate.removesuffix("_rate") for rate in rates]
    rows = [
        (_REASONS.get(reason) or visible(reason), [f"{100 * metrics[f'parse/{reason}_rate']:.2f}"])
        for reason in reasons
    ]
    return html_table("模型輸出的問題（占輸出的 %）", ["問題", "%"], rows)


def _parts(metrics: Metrics, first: str, length: int) -> list[list[str]]:
    """The parts of each metric name that begins with `first` and has `length` of them."""
    names = [name.split("/") for name in metrics]
    return [parts for parts in names if parts[0] == first and len(parts) == length]


def _cells(metrics: Metrics, prefix: str, columns: Iterable[tuple[str, str]]) -> list[str]:
    return [_figure(metrics, f"{prefix}/{figure}") for figure, _ in columns]


def _figure(metrics: Metrics, name: str) -> str:
    return f"{metrics[name]:.2f}" if name in metrics else "–"
