"""The metrics of a run as HTML: headline, genres, types, restoration, parse problems, errors.

The names are those that `chmed_ner.score.metrics` writes; a table whose metrics are absent is left
out, and every metric is once more in the full list.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from chmed_ner.entities.types import Sentence
from chmed_ner.report.pages.document import html_table, visible
from chmed_ner.report.pages.marks import ERROR_NAMES, EntityMarks

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
    "truncated": "輸出被截斷",
    "empty": "空白輸出",
    "refused": "拒答",
    "problem": "任何問題",
}
_MORE = (
    ("test/tag_f1", "逐字標記 F1"),
    ("test/seen_f1", "訓練中見過的實體 F1"),
    ("test/unseen_f1", "訓練中未見的實體 F1"),
    ("infer/mention_f1", "還原位置前的提及 F1"),
)


def headline(metrics: Metrics) -> str:
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


def metric_tables(metrics: Metrics, sentences: Sequence[Sentence], marks: EntityMarks) -> str:
    """Every table but the headline, in reading order; empty when there are no metrics."""
    genres = [parts[1] for parts in _parts(metrics, "test", 3) if parts[2] == "f1"]
    others = [(name, [_figure(metrics, key)]) for key, name in _MORE if key in metrics]
    tables = [
        _genre_table(metrics, sentences, genres),
        _type_table(metrics, sentences, genres, marks),
        _restoration_table(metrics),
        _problem_table(metrics),
        _error_table(metrics),
        html_table("其他 F1（%）", ["", "F1"], others),
    ]
    if not any(tables):
        return ""
    return f'<div class="tables">\n{"".join(tables)}</div>\n'


def full_list(metrics: Metrics) -> str:
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
    rows = []
    for rate in rates:
        reason = rate.removesuffix("_rate")
        name = _REASONS.get(reason) or visible(reason)
        rows.append((name, [f"{100 * metrics[f'parse/{rate}']:.2f}"]))
    return html_table("模型輸出的問題（占輸出的 %）", ["問題", "%"], rows)


def _error_table(metrics: Metrics) -> str:
    names = [(f"error/{kind}", name) for kind, name in ERROR_NAMES.items()]
    rows = [(name, [f"{metrics[key]:,.0f}"]) for key, name in names if key in metrics]
    return html_table("實體錯誤（個數）", ["錯誤", "個數"], rows)


def _parts(metrics: Metrics, first: str, length: int) -> list[list[str]]:
    """The parts of each metric name that begins with `first` and has `length` of them."""
    names = [name.split("/") for name in metrics]
    return [parts for parts in names if parts[0] == first and len(parts) == length]


def _cells(metrics: Metrics, prefix: str, columns: Iterable[tuple[str, str]]) -> list[str]:
    return [_figure(metrics, f"{prefix}/{figure}") for figure, _ in columns]


def _figure(metrics: Metrics, name: str) -> str:
    return f"{metrics[name]:.2f}" if name in metrics else "–"
