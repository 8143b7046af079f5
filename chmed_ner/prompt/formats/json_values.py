"""JSON in an answer: the mentions in it, in whatever way the objects are nested and named."""

import json
import re
from collections.abc import Iterator
from typing import Any

from chmed_ner.prompt.formats.lines import LineReader
from chmed_ner.prompt.formats.lists import MENTION_KEYS, TYPE_KEYS, Found, Page, key_of

_DEEPEST = 8
_TRIES = 16
"""Brackets of a text at which JSON may begin, before it is given up."""
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, parse_float=str)
_BESIDE = re.compile(r"```\w*|[\s,，;；]+")
_TOKENS = re.compile(
    r'"((?:[^"\\\n]|\\.)*)"?'
    r"|'((?:[^'\\\n]|\\.)*)'?"
    r"|[“”]([^“”\n]*)[“”]?"
    r"|([:：])|([{}\[\]])"
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}

Value = Any  # str, None, bool, a list of values, or a tuple of (name, value): an object


def json_values(text: str) -> tuple[list[Value], bool]:
    """The objects and arrays in `text`, and whether there is nothing beside them.

    Numbers are strings; an object is a tuple of its pairs, so that none is lost.
    """
    values: list[Value] = []
    beside: list[str] = []
    at = done = tries = 0
    while tries < _TRIES and (match := re.compile(r"[{\[]").search(text, at)):
        try:
            value, end = _DECODER.raw_decode(text, match.start())
        except ValueError:
            at, tries = match.end(), tries + 1
            continue
        except RecursionError:
            break
        values.append(value)
        beside.append(text[done : match.start()])
        at = done = end
    beside.append(text[done:])
    return values, not _BESIDE.sub("", "".join(beside))


class JsonReader:
    """Reads values: grouped by category, as objects of a mention and a category, or as pairs."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._lines = LineReader(page)

    def read(self, value: Value, tag: str | None = None, depth: int = 0) -> Iterator[Found]:
        """What a value names; `tag` is the category that it stands under."""
        if value is None:
            return
        if isinstance(value, bool) or depth > _DEEPEST:
            yield "unparsable_line"
        elif isinstance(value, str):
            yield from self._string(value, tag, listed=False)
        elif isinstance(value, tuple):
            yield from self._object(value, tag, depth)
        elif tag is None and (pair := self._pair([each for each in value if _is_text(each)])):
            yield pair
        else:
            for each in value:
                if isinstance(each, str):
                    yield from self._string(each, tag, listed=True)
                else:
                    yield from self.read(each, tag, depth + 1)

    def _string(self, words: str, tag: str | None, *, listed: bool) -> Iterator[Found]:
        """A string: a mention, or several; without a category, what its line says."""
        if not words.strip() or (words.isdigit() and not self._page.holds(words)):
            yield "unparsable_line"
        elif tag is None:
            found = self._lines.read(words.strip())
            yield from ("unknown_label" if each == "unparsable_line" else each for each in found)
        elif listed and self._page.holds(words):
            yield self._page.mention(words.strip(), tag)
        else:
            yield from self._lines.mentions(words.strip(), tag)

    def _pair(self, texts: list[str]) -> Found | None:
        """`["高血压", "疾病"]`: one category among the strings, and the words before or after."""
        tagged = [text for text in texts if self._page.tag(text)]
        others = [text for text in texts if text not in tagged and not text.isdigit()]
        if len(tagged) != 1 or len(others) != 1:
            return None
        tag = self._page.tag(tagged[0])
        assert tag is not None
        return self._page.mention(others[0].strip(), tag)

    def _object(self, pairs: tuple[Any, ...], tag: str | None, depth: int) -> Iterator[Found]:
        """An object: a mention with its category and whatever else, or a group for each name."""
        named = {key_of(str(name)): value for name, value in pairs}
        kinds = [value for key, value in named.items() if key in TYPE_KEYS and _is_text(value)]
        words = [value for key, value in named.items() if key in MENTION_KEYS and value]
        if words and (kinds or tag):
            # under a category, an object may name a finer one of its own
            own = self._page.noted_tag(kinds[0])[0] if kinds else None
            if not (own or tag) or (kinds and not own and not tag):
                yield "unknown_label"
            else:
                yield from self.read(words[0], own or tag, depth + 1)
        elif tag is None and (pair := self._plain_pair(pairs)):
            yield pair
        else:
            for name, value in pairs:
                yield from self._entry(str(name).strip(), value, tag, depth)

    def _plain_pair(self, pairs: tuple[Any, ...]) -> Found | None:
        """An object of two strings under names that say nothing."""
        if len(pairs) != 2 or any(self._page.tag(name) for name, _ in pairs):
            return None
        texts = [value for _, value in pairs if _is_text(value)]
        held = [name for name, _ in pairs if self._page.holds(name)]
        return self._pair(texts) if len(texts) == 2 and not held else None

    def _entry(self, name: str, value: Value, tag: str | None, depth: int) -> Iterator[Found]:
        """One name of an object and what stands under it."""
        page = self._page
        kinds = [page.tag(each) for each in _texts(value)]
        own = page.tag(name)
        swapped = len(kinds) == 1 and kinds[0] is not None and not tag
        meant = own and (any(map(page.holds, _texts(value))) or not page.holds(name))
        if swapped and not meant:
            yield page.mention(name, kinds[0] or "")
            return
        if own:
            yield from self.read(value, own, depth + 1)
        elif isinstance(value, tuple) and (kind := self._kind(value)) and page.holds(name):
            yield page.mention(name, kind)
        elif tag and page.holds(name):
            yield page.mention(name, tag)
        elif isinstance(value, (list, tuple)) and value:
            yield from self.read(value, tag, depth + 1)
        elif value not in (None, [], ()):
            yield "unknown_label" if tag is None and _is_text(value) else "unparsable_line"

    def _kind(self, pairs: tuple[Any, ...]) -> str | None:
        """The category that an object gives without a mention."""
        kinds = [value for name, value in pairs if key_of(str(name)) in TYPE_KEYS]
        return self._page.tag(kinds[0]) if len(kinds) == 1 and _is_text(kinds[0]) else None


def _is_text(value: Value) -> bool:
    return isinstance(value, str)


def _texts(value: Value) -> list[str]:
    """The strings that stand under a name."""
    return [each for each in (value if isinstance(value, list) else [value]) if _is_text(each)]


def scanned(text: str, page: Page) -> Iterator[Found]:
    """What something like JSON names, by its strings: one before a colon is a name."""
    reader = JsonReader(page)
    name, words, count = "", None, 0
    waiting: dict[bool, str] = {}  # of an object: whether it is the category, and the string
    for match in _TOKENS.finditer(text):
        double, single, curly, colon, _ = match.groups()
        quoted = next((each for each in (double, single, curly) if each is not None), None)
        if colon:
            name, words = words if words is not None else name, None
        elif words is not None:
            count += 1
            yield from _scanned_entry(name, words, waiting, reader)
            words = None
        if quoted is not None:
            closed = len(match.group()) == len(quoted) + 2
            if not closed:  # cut off in the middle
                yield "unparsable_line"
            words = _ESCAPE.sub(_plain, quoted) if closed else None
    if words is not None:
        count += 1
        yield from _scanned_entry(name, words, waiting, reader)
    if not count:
        yield "unparsable_line"


def _scanned_entry(
    name: str, words: str, waiting: dict[bool, str], reader: JsonReader
) -> Iterator[Found]:
    """A string under a name; the mention and the category of an object wait for each other."""
    key = key_of(name)
    if key in MENTION_KEYS | TYPE_KEYS:
        waiting[key in TYPE_KEYS] = words
        if len(waiting) == 2:
            yield from reader.read((("entity", waiting[False]), ("type", waiting[True])))
            waiting.clear()
    elif words.strip():
        yield from reader.read(((name, [words]),))
    else:
        yield "unparsable_line"


def _plain(escape: re.Match[str]) -> str:
    code = escape[1]
    if code[0] == "u" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, code)
