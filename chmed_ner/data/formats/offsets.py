"""Offsets as files write them become spans.

Copies of one corpus differ in how they count: ends are inclusive or exclusive, a tool in JavaScript
counts UTF-16 units, a program on Windows CRLF as one character. The mention decides.
"""

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

from chmed_ner.data.columns import shown
from chmed_ner.data.formats.annotations import ENDS, Annotations, Options
from chmed_ner.entities import AnnotatedText, Span, crosses, in_text_order
from chmed_ner.errors import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Marked:
    """An entity as it is written on `line`; `mention` is None where the file does not say."""

    start: int
    end: int
    type: str
    mention: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Document:
    """A text that begins on `line` of `file`, with its entities as written."""

    file: Path
    line: int
    text: str
    entities: Sequence[Marked] = ()
    id: str = ""


def _utf16(text: str) -> list[int]:
    units = [[n, -1] if character > "\uffff" else [n] for n, character in enumerate(text)]
    return [*(place for each in units for place in each), len(text)]


_UNITS: Mapping[str, Callable[[str], Sequence[int]]] = {
    "characters": lambda text: range(len(text) + 1),
    "utf16": _utf16,
    "CRLF as one": lambda text: [each.start() for each in re.finditer(r"(?s)\r\n|.|\Z", text)],
}
"""The character at each offset (-1: within one), by what is counted."""
_places = lru_cache(maxsize=8)(lambda text, units: _UNITS[units](text))

Way = tuple[str, str]
"""How offsets are counted: one of `ENDS`, and one of `_UNITS`."""


def _spans(
    text: str, marked: Marked, ways: Iterable[Way], read: Callable[[str], str] | None = None
) -> dict[Way, Span]:
    """The span by each way to count that leaves one; with `read`, that is the mention if any."""
    found = {}
    for end, units in ways:
        places = _places(text, units)
        first, last = marked.start, marked.end + (end == "inclusive")
        if 0 <= first < last < len(places) and 0 <= places[first] < places[last]:
            span = Span(places[first], places[last], marked.type)
            there = text[span.start : span.end]
            if not read or marked.mention is None or read(there) == read(marked.mention):
                found[end, units] = span
    return found


def _plain(mention: str) -> str:
    """A mention without what tools change in it: white space, width and case."""
    return "".join(unicodedata.normalize("NFKC", mention).split()).casefold()


def resolve(
    path: Path,
    documents: Sequence[Document],
    options: Options,
    ends: Iterable[str] = ENDS,
    units: Sequence[str] = ("characters", "utf16"),
) -> Annotations:
    """`documents` with spans: counted as `options` say, else as most entities of the file fit, of
    equals the first way.

    An entity whose mention fits another way only is taken that way. One that fits none is left out,
    named in a warning and counted. InputError: most are such, or a text holds a lone surrogate.
    """
    ends, units = (
        [options.end] if options.end else ends,
        [options.units] if options.units else units,
    )
    texts = [each.text for each in documents]
    first = [len(_places(text, units[0])) for text in texts]
    differ = [u for u in units[1:] if [len(_places(text, u)) for text in texts] != first]
    ways = list(product(ends, [units[0], *differ]))
    marks = [(each.text, marked) for each in documents for marked in each.entities]
    fits = Counter(way for text, marked in marks for way in _spans(text, marked, ways, str))
    ways.sort(key=lambda way: -fits[way])  # stable: of equals the first
    equal = [way for way in ways if fits[way] == fits[ways[0]]]
    used: Counter[Way] = Counter()
    bad: list[str] = []
    resolved = tuple(_resolved(each, ways, used, bad) for each in documents)
    if 2 * len(bad) > len(marks):
        raise InputError(
            f"{bad[0]}; {len(bad):,} of {len(marks):,} entities are wrong: set "
            "dataset.options.end or the keys, or give the text that was annotated"
        )
    for problem in bad:
        log.warning("%s; left out: correct its offsets", problem)
    open_ = (each for each in marks if each[1].mention is None)
    if any(len({*_spans(text, marked, equal).values()}) > 1 for text, marked in open_):
        said = " or ".join(f"{end} ends in {unit}" for end, unit in equal)
        log.warning("%s: %s? Read as the first; dataset.options.end, .units set it", path, said)
    counts = {
        "bad_offsets": len(bad),
        "repeated": used.total() - sum(len(each.entities) for each in resolved),
        "crossing": sum(_crossing(each.entities) for each in resolved),
    }
    notes = (f"{used[way]:,} entities: {' ends, offsets in '.join(way)}" for way in used)
    return Annotations(resolved, tuple(notes), counts)


def _resolved(
    document: Document, ways: Sequence[Way], used: Counter[Way], bad: list[str]
) -> AnnotatedText:
    text, file = document.text, document.file
    if re.search("[\ud800-\udfff]", text):
        place = f"{file}, line {document.line}"
        raise InputError(f"{place}: holds a lone surrogate, which is not text; repair the line")
    spans = []
    for marked in document.entities:
        tried = ways if marked.mention is not None else ways[:1]
        if found := _spans(text, marked, tried, str) or _spans(text, marked, tried, _plain):
            way, span = next(iter(found.items()))
            used[way] += 1
            spans.append(span)
        else:
            there, said = text[max(marked.start, 0) : max(marked.end, 0)], marked.mention
            missed = f"is not in its text of {len(text):,} characters"
            missed = missed if said is None else f"is {shown(there)}, not {shown(said)}"
            what = f"entity {marked.type} {marked.start} {marked.end} {missed}"
            bad.append(f"{file}, line {marked.line}: {what}")
    return AnnotatedText(text, in_text_order(set(spans)), None, document.line, document.id)


def _crossing(spans: Sequence[Span]) -> int:
    """How many pairs of spans (in text order) overlap without one lying inside the other."""
    found, opened = 0, list[Span]()
    for span in spans:
        opened = [each for each in opened if each.end > span.start]
        found += sum(crosses(each, span) for each in opened)
        opened.append(span)
    return found
