"""Offsets as files write them become spans: the mention decides how they are counted.

Copies of one corpus differ: ends are inclusive or exclusive; a tool written in JavaScript counts
UTF-16 units, a program on Windows may count CRLF as one character.
"""

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from chmed_ner.data.columns import shown
from chmed_ner.data.formats.annotations import Annotations
from chmed_ner.entities import AnnotatedText, Span
from chmed_ner.errors import InputError
from chmed_ner.files import BYTE_ORDER_MARK

log = logging.getLogger(__name__)

_SURROGATE = re.compile("[\ud800-\udfff]")

ENDS = ("exclusive", "inclusive")


@dataclass(frozen=True, slots=True)
class Marked:
    """An entity as a file writes it; `mention` is None where the file does not say."""

    start: int
    end: int
    type: str
    mention: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its entities as written; `file` names the file, where `line` has its beginning."""

    file: Path
    line: int
    text: str
    entities: Sequence[Marked] = ()
    id: str = ""


def _utf16(text: str) -> list[int]:
    places = []
    for number, character in enumerate(text):
        places += [number, -1] if character > "\uffff" else [number]
    return [*places, len(text)]


_PLACES: Mapping[str, Callable[[str], Sequence[int]]] = {
    "characters": lambda text: range(len(text) + 1),
    "utf16": _utf16,
    "lines": lambda text: [each.start() for each in re.finditer(r"(?s)\r\n|.|\Z", text)],
    "unmarked": lambda text: range(text.startswith(BYTE_ORDER_MARK), len(text) + 1),
}
"""The character at each offset (-1: within one), by what is counted: characters; UTF-16 units;
characters with CRLF as one; characters after the byte order mark."""

Way = tuple[str, str]
"""How offsets are counted: one of `ENDS`, and a key of `_PLACES`."""


@dataclass(frozen=True, slots=True)
class _Read:
    """An entity with the span in `text` that it is, by each way that does not leave the text."""

    document: Document
    marked: Marked
    spans: Mapping[Way, Span]

    def exact(self, way: Way) -> bool:
        """Whether, counted in this way, it is its mention, if it has one."""
        found, mention = self.spans.get(way), self.marked.mention
        return found is not None and mention in (None, self.document.text[found.start : found.end])

    def loose(self, way: Way) -> bool:
        """The same, but for what tools change in a mention: white space, width and case."""
        found, mention = self.spans.get(way), self.marked.mention
        if found is None or mention is None:
            return False
        there = self.document.text[found.start : found.end]
        plain = ("".join(unicodedata.normalize("NFKC", each).split()) for each in (there, mention))
        return len({each.casefold() for each in plain}) == 1

    def span(self, ways: Sequence[Way]) -> tuple[Way, Span] | None:
        """The first way that fits, and the span; the mention alone allows another than the first.
        """
        tried = ways if self.marked.mention is not None else ways[:1]
        for fits in (self.exact, self.loose):
            for way in filter(fits, tried):
                return way, self.spans[way]
        return None

    def problem(self) -> str:
        """Where it is, and why it is no span."""
        marked, text = self.marked, self.document.text
        place = f"{self.document.file}, line {marked.line or self.document.line}"
        what = f"{place}: entity {marked.type} {marked.start} {marked.end}"
        if marked.mention is None:
            return f"{what} is empty or outside of its text, which has {len(text):,} characters"
        there = text[max(0, marked.start) : max(0, marked.end)]
        return f"{what} is not its mention {shown(marked.mention)} (there: {shown(there)})"


def resolve(
    path: Path,
    documents: Sequence[Document],
    ends: Sequence[str],
    units: Sequence[str] = ("characters", "utf16"),
) -> Annotations:
    """`documents` with spans: counted as most entities of the file fit, of equals the first way.

    An entity whose mention fits another way only is taken that way. One that fits none is left out,
    named in a warning and counted. InputError: most are such, or a text holds a lone surrogate.
    """
    scales = [{unit: _PLACES[unit](each.text) for unit in units} for each in documents]
    differ = {u for of in scales for u in units[1:]
              if len(of[u]) != len(of[units[0]])}  # fmt: skip
    ways = [way for way in product(ends, units) if way[1] in {units[0], *differ}]
    read = [
        [_read(document, marked, ways, of) for marked in document.entities]
        for document, of in zip(documents, scales, strict=True)
    ]
    entities = [entity for each in read for entity in each]
    fits = Counter(way for entity in entities for way in ways if entity.exact(way))
    ways.sort(key=lambda way: -fits[way])  # stable: of equals the first
    found = [[entity.span(ways) for entity in each] for each in read]
    used = Counter(each[0] for spans in found for each in spans if each)
    texts = tuple(
        _text(document, [each[1] for each in spans if each])
        for document, spans in zip(documents, found, strict=True)
    )
    bad = [entity.problem() for entity in entities if entity.span(ways) is None]
    if 2 * len(bad) > len(entities):
        raise InputError(
            f"{bad[0]}; {len(bad):,} of {len(entities):,} entities are wrong: set dataset.end or "
            "the keys, or give the text that was annotated"
        )
    for problem in bad:
        log.warning("%s; left out: correct its offsets", problem)
    _warn_of_guess(path, entities, [way for way in ways if fits[way] == fits[ways[0]]])
    notes = (
        f"{used[way]:,} of {len(entities):,} entities: {way[0]} ends, offsets count {way[1]}"
        for way in ways
        if used[way]
    )
    counts = {
        "bad_offsets": len(bad),
        "repeated": used.total() - sum(len(text.entities) for text in texts),
        "crossing": sum(_crossing(text.entities) for text in texts),
    }
    return Annotations(texts, tuple(notes), counts)


def _read(
    document: Document, marked: Marked, ways: Sequence[Way], of: Mapping[str, Sequence[int]]
) -> _Read:
    spans = {}
    for end, units in ways:
        places, first, last = of[units], marked.start, marked.end + (end == "inclusive")
        if 0 <= first < last < len(places) and 0 <= places[first] < places[last]:
            spans[end, units] = Span(places[first], places[last], marked.type)
    return _Read(document, marked, spans)


def _text(document: Document, spans: Sequence[Span]) -> AnnotatedText:
    if _SURROGATE.search(document.text):
        raise InputError(
            f"{document.file}, line {document.line}: holds a lone surrogate, which is not text; "
            "repair the line"
        )
    return AnnotatedText(document.text, ordered(spans), None, document.line, document.id)


def _warn_of_guess(path: Path, entities: Sequence[_Read], equal: Sequence[Way]) -> None:
    """Say which way was taken of those that no mention and no offset tells apart."""
    if any(each.marked.mention is not None for each in entities):
        return
    for way in equal[1:]:
        if any(each.spans.get(way) != each.spans.get(equal[0]) for each in entities):
            log.warning(
                "%s: nothing in it decides between %s and %s; read as the first (dataset.end, "
                "dataset.units)",
                path,
                " ends in ".join(equal[0]),
                " ends in ".join(way),
            )


def ordered(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans in text order, the longest of one start first, each once."""
    return tuple(sorted(set(spans), key=lambda span: (span.start, -span.end, span.type)))


def _crossing(spans: Sequence[Span]) -> int:
    """How many pairs of spans (in text order) overlap without one lying inside the other."""
    return sum(
        first.start < second.start < first.end < second.end
        for number, first in enumerate(spans)
        for second in _begun_before(first.end, spans[number + 1 :])
    )


def _begun_before(end: int, spans: Sequence[Span]) -> Iterator[Span]:
    for span in spans:
        if span.start >= end:
            return
        yield span
