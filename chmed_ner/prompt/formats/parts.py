"""One part of a list: words and their category, `高血压-疾病`, in either order or in brackets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from chmed_ner.prompt.formats.folding import bare, unquoted
from chmed_ner.prompt.formats.lists import MENTION_KEYS, TYPE_KEYS, Found, Page
from chmed_ner.prompt.formats.nothing import means_none

DASHES = "-－–—‐‑−﹣:："
SEPARATORS = re.compile(f"[{DASHES}]")
ENDS = "。.．;；，,、!！ \t"
_LINKS = re.compile(rf"\s*(?:[-=]+>|[→⇒➔➡=|｜/]|[{DASHES}])\s*")
_ROOM = 40
"""Characters that white space and marks around a category's name may take beyond its length."""
_BRACKETED = re.compile(r"(.+?)\s*[（(\[［【<《〈]\s*([^（(\[［【<《〈]*?)\s*[)）\]］】>》〉]+")
_MARKS = re.compile(rf"[{DASHES}→⇒➔➡=|｜/（(\[［【<《〈]")
_TAGGED = re.compile(r"<([^<>]+)>([^<>]+)</\1>")
_HEADED = re.compile(r"[（(\[［【<《〈]\s*(.+?)\s*[)）\]］】>》〉]\s*([^:：].*)")
_KEYS = "|".join(sorted(MENTION_KEYS | TYPE_KEYS, key=len, reverse=True))
_KEYED = re.compile(rf"\A(?:{_KEYS})\s*\d*\s*[:：=]\s*", re.IGNORECASE)
FIELD = re.compile(rf"({_KEYS})\s*\d*\s*[:：=]\s*([^:：，,；;]+)", re.IGNORECASE)
"""A line of a record: the name of the field, and what it is."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a line: words, a category, or both; `first`: the category came first."""

    words: str
    tag: str | None
    first: bool = False
    noted: bool = False  # something behind the category was left out


def exact_mention(line: str, page: Page) -> Found | None:
    """The mention of a `mention-category` line, if the sentence holds it; None for another line."""
    for words, tag in reversed(readings(line, page)):
        if page.holds(words):
            return page.mention(words, tag)
    return None


def read_part(part: str, page: Page) -> Part:
    """What a part of a line holds; nothing is looked for in a longer one than makes sense."""
    if len(part) > page.longest_part:
        return Part(part, None)
    part = _KEYED.sub("", part.strip(), count=1)
    read = _read_part(part, page)
    if read.first and (inner := _read_part(read.words, page)).tag and page.holds(inner.words):
        return inner
    return read


def _read_part(part: str, page: Page) -> Part:
    name = page.tag(bare(part.strip(ENDS)))
    if not _MARKS.search(part):
        return Part("", name) if name else Part(part, None)
    pairs = readings(part, page)
    for words, tag in reversed(pairs):
        if page.holds(words):
            return Part(words, tag)
    if name:
        return Part("", name)
    linked = list(_linked(part, page))
    for each in linked:
        if not each.first and (page.holds(each.words) or means_none(bare(each.words))):
            return each
    if first := next((each for each in linked if each.first), None):
        return first
    if pairs:
        return Part(*pairs[0])
    return linked[0] if linked else Part(part, None)


def _linked(part: str, page: Page) -> Iterator[Part]:
    """The readings of words and a category in brackets or behind a link, in either order."""
    plain = part.rstrip(ENDS)
    bracketed = [form.fullmatch(plain) for form in (_TAGGED, _BRACKETED, _HEADED)]
    pairs = [match.groups() for match in bracketed if match]
    pairs += [(part[: m.start()], part[m.end() :]) for m in _LINKS.finditer(part)]
    for left, right in pairs:
        tag, noted = page.noted_tag(bare(right.strip(ENDS)))
        if tag and left.strip():
            yield Part(left.strip(), tag, noted=noted)
        if tag := page.noted_tag(bare(left.strip(ENDS)))[0]:
            yield Part(right.strip(), tag, first=True)


def readings(line: str, page: Page) -> list[tuple[str, str]]:
    """Each (words, type) into which a separator divides the line, shortest words first."""
    found = list(_divisions(line, page))
    if not found and (plain := bare(line.rstrip(ENDS))) != line:
        found = list(_divisions(plain, page))
    return found


def _divisions(line: str, page: Page) -> Iterator[tuple[str, str]]:
    """A mention and a category may hold separators. Only those near the end are looked at, so that
    a line without end costs no more than its length."""
    labels = page.labels
    end = len(line.rstrip(ENDS))
    for match in SEPARATORS.finditer(line, max(0, end - labels.longest - _ROOM)):
        words = line[: match.start()].strip()
        name = line[match.end() : end + labels.longest].lstrip(DASHES).strip()
        tag = labels.tag_of(name)
        if tag is None and (plain := unquoted(name.rstrip(ENDS))) != name:
            tag = labels.tag_of(plain)
        if words and tag:
            yield words, tag
