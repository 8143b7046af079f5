"""The frame of a page, one HTML file in which no text from data acts or hides."""

import base64
import hashlib
import html
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from chmed_ner.entities import LabelScheme
from chmed_ner.report.words import LANGUAGE, say, type_name

# Controls, format characters (bidi controls and zero-width characters among them), lone surrogates,
# line and paragraph separators: they act on the page or cannot be seen, so they are named instead.
_NAMED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def is_named(character: str) -> bool:
    """Whether `character` acts, hides, or (a noncharacter) has no place in an HTML document."""
    code = ord(character)
    return (
        unicodedata.category(character) in _NAMED
        or code & 0xFFFE == 0xFFFE
        or 0xFDD0 <= code <= 0xFDEF
    )


def plain(text: str, *, keep: str = "") -> str:
    """`text` with each character that acts or cannot be seen as `U+XXXX`, but for those in
    `keep`; not escaped for HTML."""
    if text.isprintable():
        return text
    return "".join(
        f"U+{ord(character):04X}" if character not in keep and is_named(character) else character
        for character in text
    )


def visible(text: str) -> str:
    """`text` as `plain` shows it, as the HTML content of an element (not of `title`).

    The named characters are in an element of their own (class `u`), so that they differ from a
    text that really says `U+202E`.
    """
    if text.isprintable():
        return html.escape(text)
    return "".join(
        f'<i class="u">U+{ord(character):04X}</i>'
        if is_named(character)
        else html.escape(character)
        for character in text
    )


def html_table(
    caption: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]
) -> str:
    """A table that scrolls by keyboard, empty without rows: a heading and cells, as HTML."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'
        for name, cells in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0"><table>'
        f"<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}</tbody></table></div>\n"
    )


TYPE_COLOURS = (
    ("#ffd6b8", "#7a3d12"),
    ("#ffe88a", "#5c4a00"),
    ("#d3dbe4", "#465463"),
    ("#aeeadb", "#085a4c"),
    ("#d8f09a", "#435a08"),
    ("#ffc2cb", "#80213a"),
    ("#bcd8ff", "#1c4788"),
    ("#b9ecb6", "#1b5c22"),
    ("#dac8ff", "#513393"),
    ("#e6d2b9", "#5d4733"),
    ("#aee6f5", "#075567"),
    ("#f8c6f0", "#702a68"),
)
"""What marks an entity type wherever it is shown, by day and in the dark; types beyond the last
begin again.

The type's name is always next to the colour, so no reader depends on telling hues apart.
"""


@lru_cache
def page_file(name: str) -> str:
    """The text of `explorer.js`, or of `page.css` with a class for each colour of a type: the style
    of every page."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    if name != "page.css":
        return text
    day, dark = (
        "".join(f".t{n}{{background:{each[side]}}}\n" for n, each in enumerate(TYPE_COLOURS))
        for side in (0, 1)
    )
    return f"{text}{day}@media(prefers-color-scheme:dark){{\n{dark}}}\n"


def opening(title: str, script: str = "", skip: tuple[str, str] = ("", "")) -> str:
    """Everything up to the heading and the beginning of `main`.

    Only our style and the given script have an effect, so that even a mistake in escaping could run
    or fetch nothing. `skip` is the anchor and the words of a link past what comes first.
    """
    style = page_file("page.css")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; img-src data:; "
        + (f"script-src '{_digest(script)}'; " if script else "")
        + "base-uri 'none'; form-action 'none'"
    )
    anchor, words = skip
    return (
        '<!DOCTYPE html>\n<html lang="'
        + LANGUAGE.get()
        + '" dir="ltr">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(plain(title))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        + (f'<a class="skip" href="#{anchor}">{words}</a>\n' if anchor else "")
        + f"<h1>{visible(title)}</h1>\n<main>\n"
    )


def closing(data: Iterable[str] = (), script: str = "") -> str:
    """The end of a page: the `data` of the script (pieces of JSON, escaped), then the script."""
    json = "".join(data)
    block = f'<script type="application/json" id="data">{json}</script>\n' if json else ""
    run = f"<script>{script}</script>\n" if script else ""
    return f"</main>\n{block}{run}</body>\n</html>\n"


def _digest(text: str) -> str:
    """The hash source by which a content security policy names an inline text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


ERROR_NAMES = {
    "boundary": "boundary",
    "type": "type",
    "boundary_and_type": "boundary and type",
    "missed": "missed",
    "spurious": "spurious",
}
"""What a page calls each kind of error of `chmed_ner.score.breakdowns`."""


def kind_name(kind: str) -> str:
    """What a page calls a kind of `ERROR_KINDS`, not translated."""
    return ERROR_NAMES.get(kind, "correct")


class EntityMarks:
    """How a page marks each entity type: CSS class and name, by tag, in the scheme's order; a type
    outside the scheme has the class `x` and goes by its tag."""

    def __init__(self, labels: LabelScheme) -> None:
        self.classes: Mapping[str, str] = {
            tag: f"t{number % len(TYPE_COLOURS)}" for number, tag in enumerate(labels.tags)
        }
        self._names = {label.tag: type_name(label) for label in labels.labels}

    def mark(self, text: str, type_: str) -> str:
        """`text` marked as an entity of `type_`, as HTML."""
        name = self.name(type_)
        note = f"<small>{visible(name)}</small>" if name != text else ""
        return f'<mark class="{self.style(type_)}">{visible(text)}{note}</mark>'

    def style(self, type_: str) -> str:
        """The CSS class of a type."""
        return self.classes.get(type_, "x")

    def name(self, type_: str) -> str:
        """The name of a type, not escaped."""
        return self._names.get(type_, type_)

    def legend(self, outlined: str) -> str:
        """The types of the scheme, and what an outline means, as an HTML list."""
        entries = [f"<li>{self.mark(tag, tag)}</li>" for tag in self.classes]
        entries.append(
            f'<li><mark class="e">{say("outlined")}</mark> <small>{outlined}</small></li>'
        )
        return f'<ul class="legend" aria-label="{say("Legend")}">{"".join(entries)}</ul>\n'
