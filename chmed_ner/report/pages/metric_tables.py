"""The metrics of a run as tables; a table without metrics is left out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from chmed_ner.entities import Sentence
from chmed_ner.report.pages.document import ERROR_NAMES, EntityMarks, html_table, visible
from chmed_ner.report.words import say

Metrics = Mapping[str, float]

_FIGURES = (("precision", "Precision"), ("recall", "Recall"), ("f1", "F1"))
_POLICY_COLUMNS = (
    ("f1", "F1"),
    ("ceiling_f1", "ceiling"),
    ("target_ceiling_f1", "ceiling of the answer format"),
)
_REASONS = {
    "unparsable_line": "lines that cannot be parsed",
    "unknown_label": "unknown types",
    "not_in_sentence": "not in the sentence",
    "repeated_line": "repeated lines",
    "altered_copy": "copies that differ from the sentence",
    "repaired": "JSON read after a repair",
    "none_word": "words for none given as entities",
    "draft": "drafts or further turns beside the answer",
    "unread": "no answer can be read",
    "truncated": "output cut off",
    "empty": "empty output",
    "refused": "refused",
    "cut": "text cut off by a stop string",
    "off_grammar": "output off the grammar",
    "problem": "any problem",
}
_MORE = (
    ("test/tag_f1", "F1 of the characters' tags"),
    ("test/seen_f1", "F1 of strings seen in training"),
    ("test/unseen_f1", "F1 of strings not seen in training"),
    ("infer/mention_f1", "F1 of mentions before they are placed"),
)


def headline(metrics: Metrics) -> str:
    """Precision, recall and F1 over the genres, F1 with its 95% interval; a notice without them."""
    if "test/f1" not in metrics:
        return f"<p>{say('This run has no test scores.')}</p>\n"
    interval = ""
    if {"test/f1_low", "test/f1_high"} <= metrics.keys():
        low, high = _figure(metrics, "test/f1_low"), _figure(metrics, "test/f1_high")
        interval = f"<small>{say('95% interval')} {low}–{high}</small>"
    figures = [
        f"<div><dt>{say(name)}</dt><dd>{_figure(metrics, f'test/{figure}')}"
        f"{interval if figure == 'f1' else ''}</dd></div>"
        for figure, name in (_FIGURES[-1], *_FIGURES[:-1])
    ]
    return f'<dl class="figures">{"".join(figures)}</dl>\n'


def metric_tables(metrics: Metrics, sentences: Sequence[Sentence], marks: EntityMarks) -> str:
    """Every table but the headline, in reading order; empty when there are no metrics."""
    genres = [parts[1] for parts in _parts(metrics, "test", 3) if parts[2] == "f1"]
    errors = [
        (say(name), [f"{metrics[f'error/{kind}']:,.0f}"])
        for kind, name in ERROR_NAMES.items()
        if f"error/{kind}" in metrics
    ]
    others = [(say(name), [_figure(metrics, key)]) for key, name in _MORE if key in metrics]
    tables = [
        _genre_table(metrics, sentences, genres),
        _type_table(metrics, sentences, genres, marks),
        _nesting_table(metrics),
        _restoration_table(metrics),
        _problem_table(metrics),
        html_table(say("Errors of entities (how many)"), [say("error"), say("number")], errors),
        html_table(say("Other F1 (%)"), ["", "F1"], others),
    ]
    if not any(tables):
        return ""
    return f'<div class="tables">\n{"".join(tables)}</div>\n'


def full_list(metrics: Metrics) -> str:
    """Every metric by its name in MLflow, folded away."""
    rows = [(f"<code>{visible(name)}</code>", [f"{value:,.6g}"]) for name, value in metrics.items()]
    table = html_table(say("All of metrics.json"), [say("name"), say("value")], rows)
    return f"<details><summary>{say('All metrics')}</summary>{table}</details>\n" if rows else ""


def _genre_table(metrics: Metrics, sentences: Sequence[Sentence], genres: Sequence[str]) -> str:
    size = Counter(sentence.genre for sentence in sentences)
    rows = [
        (visible(genre), [f"{size[genre]:,}", *_cells(metrics, f"test/{genre}", _FIGURES)])
        for genre in genres
    ]
    columns = [say("genre"), say("sentences"), *(say(name) for _, name in _FIGURES)]
    return html_table(say("By genre (%)"), columns, rows)


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
    return html_table(
        say("F1 by type (%; small: gold entities)"), [say("type"), *map(visible, genres)], rows
    )


def _nesting_table(metrics: Metrics) -> str:
    rows = [
        (say(name), _cells(metrics, f"nested/{part}", _FIGURES))
        for part, name in (("outermost", "outermost"), ("inside", "inside another entity"))
        if f"nested/{part}/f1" in metrics
    ]
    return html_table(
        say("Nested entities (%)"), [say("entity"), *(say(name) for _, name in _FIGURES)], rows
    )


def _restoration_table(metrics: Metrics) -> str:
    policies = dict.fromkeys(parts[1] for parts in _parts(metrics, "restore", 3))
    rows = [
        (f"<code>{visible(policy)}</code>", _cells(metrics, f"restore/{policy}", _POLICY_COLUMNS))
        for policy in policies
    ]
    columns = [say("policy"), *(say(name) for _, name in _POLICY_COLUMNS)]
    return html_table(say("F1 by restoration policy (%)"), columns, rows)


def _problem_table(metrics: Metrics) -> str:
    rates = [rate for _, rate in _parts(metrics, "parse", 2) if rate.endswith("_rate")]
    reasons = [rate.removesuffix("_rate") for rate in rates]
    rows = [
        (
            say(_REASONS[reason]) if reason in _REASONS else visible(reason),
            [f"{100 * metrics[f'parse/{reason}_rate']:.2f}"],
        )
        for reason in reasons
    ]
    return html_table(
        say("Problems of the model's output (% of outputs)"), [say("problem"), "%"], rows
    )


def _parts(metrics: Metrics, first: str, length: int) -> list[list[str]]:
    """The parts of each metric name that begins with `first` and has `length` of them."""
    names = [name.split("/") for name in metrics]
    return [parts for parts in names if parts[0] == first and len(parts) == length]


def _cells(metrics: Metrics, prefix: str, columns: Iterable[tuple[str, str]]) -> list[str]:
    return [_figure(metrics, f"{prefix}/{figure}") for figure, _ in columns]


def _figure(metrics: Metrics, name: str) -> str:
    return f"{metrics[name]:.2f}" if name in metrics else "–"
