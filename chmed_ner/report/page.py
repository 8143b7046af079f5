"""`report.html` of a run: one file that needs no network, to be looked at by people."""

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from chmed_ner.files import replacing
from chmed_ner.labels import LabelScheme
from chmed_ner.report.filters import SCRIPT, filter_bar
from chmed_ner.report.metric_tables import full_list, headline, metric_tables
from chmed_ner.report.sentence_rows import entity_marks, sentence_rows
from chmed_ner.report.style import style_sheet
from chmed_ner.report.visible import plain, visible
from chmed_ner.types import Completion, Sentence, Span


def write_page(
    path: Path,
    *,
    title: str,
    sentences: Sequence[Sentence],
    spans: Mapping[str, Sequence[Span]],
    completions: Sequence[Completion],
    metrics: Mapping[str, float],
    labels: LabelScheme,
) -> None:
    """Write the page of one run to `path`, atomically.

    `spans`: predicted entities by sentence id; entries of other sentences are not shown, nor are
    their `completions`. `metrics`: `{metric name: number}` as in metrics.json, possibly empty.
    Whatever the data holds is shown as text; characters that act or cannot be seen are shown as
    `U+XXXX`.

    Raises InputError for a sentence without an entry in `spans`, and for entities that overlap or
    leave their sentence; `path` is then as it was before.
    """
    marks = entity_marks(labels)
    genres = list(dict.fromkeys(sentence.genre for sentence in sentences))
    with replacing(path) as file:
        file.write(_head(title, style_sheet(len(labels.tags))))
        file.write(f"<h1>{visible(title)}</h1>\n<main>\n")
        file.write(f"<h2>測試成績</h2>\n{headline(metrics)}")
        if tables := metric_tables(metrics, sentences, marks):
            file.write(f"<h2>分項</h2>\n{tables}")
        file.write(full_list(metrics))
        file.write(f'<h2 id="list">測試句（{len(sentences):,}）</h2>\n')
        if sentences:
            file.write(marks.legend() + filter_bar(genres))
            file.write('<ol class="sentences" id="sentences">\n')
            file.writelines(sentence_rows(sentences, spans, completions, genres, marks))
            file.write("</ol>\n")
        else:
            file.write("<p>這次執行沒有測試句。</p>\n")
        file.write(f"</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n")


def _head(title: str, style: str) -> str:
    """Everything up to the heading. The policy lets run only the style and the script written here,
    so that even a mistake in escaping could neither run anything nor fetch anything."""
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="zh-Hant" dir="ltr">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(plain(title))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#list">跳到測試句</a>\n'
    )


def _digest(text: str) -> str:
    """The hash source by which a content security policy names an inline text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
