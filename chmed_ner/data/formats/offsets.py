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
    "mark": lambda text: [-1, *range(len(text) + 1)],
}
"""The character at each offset (-1: within one), by what is counted: characters; UTF-16 units;
characters with CRLF as one; characters with the byte order mark before them."""

Way = tuple[str, str]
"""How offsets are counted: one of `ENDS`, and a key of `_PLACES`."""
Places = Mapping[str, Sequence[int]]
Same = Callable[[str, str], bool]


def _exactly(found: str, mention: str) -> bool:
    return found == mention


def _loosely(found: str, mention: str) -> bool:
    """Whether they differ only in what tools change: white space, width and case."""
    plain = ("".join(unicodedata.normalize("NFKC", text).split()) for text in (found, mention))
    return len({text.casefold() for text in plain}) == 1


def _span(text: str, marked: Marked, places: Places, way: Way, same: Same) -> Span | None:
    """The span of `marked` counted in this way; None: outside the text, or not its mention."""
    end, units = way
    of, first, last = places[units], marked.start, marked.end + (end == "inclusive")
    if not 0 <= first < last < len(of) or not 0 <= of[first] < of[last]:
        return None
    span = Span(of[first], of[last], marked.type)
    if marked.mention is None or same(text[span.start : span.end], marked.mention):
        return span
    return None


def resolve(
    path: Path,
    documents: Sequence[Document],
    ends: Sequence[str],
    units: Sequence[str] = ("characters",),
) -> Annotations:
    """`documents` with spans: counted as most entities of the file fit, of equals the first way.

    An entity whose mention fits another way only is taken that way. One that fits none is left out,
    named in a warning and counted. InputError: most are such, or a text holds a lone surrogate.
    """
    places = [{each: _PLACES[each](document.text) for each in units} for document in documents]
    ways = list(product(ends, units))
    fits = Counter(
        way
        for document, its in zip(documents, places, strict=True)
        for marked in document.entities
        for way in ways
        if _span(document.text, marked, its, way, _exactly)
    )
    ways.sort(key=lambda way: -fits[way])  # stable: of equals the first
    used: Counter[Way] = Counter()
    bad: list[str] = []
    texts = tuple(
        _text(document, its, ways, used, bad)
        for document, its in zip(documents, places, strict=True)
    )
    total = used.total() + len(bad)
    if 2 * len(bad) > total:
        raise InputError(
            f"{bad[0]}; {len(bad):,} of {total:,} entities are wrong: set dataset.end or the keys, "
            "or give the text that was annotated"
        )
    for problem in bad:
        log.warning("%s; left out: correct its offsets", problem)
    _warn_of_guess(path, documents, ways, fits)
    kept = sum(len(text.entities) for text in texts)
    return Annotations(
        texts,
        tuple(
            f"{used[way]:,} of {total:,} entities: {way[0]} ends, offsets in {way[1]}"
            for way in ways
            if used[way]
        ),
        {
            "bad_offsets": len(bad),
            "repeated": used.total() - kept,
            "crossing": sum(_crossing(text.entities) for text in texts),
        },
    )


def _text(
    document: Document, places: Places, ways: Sequence[Way], used: Counter[Way], bad: list[str]
) -> AnnotatedText:
    where = f"{document.file}, line {document.line}"
    if _SURROGATE.search(document.text):
        raise InputError(f"{where}: holds a lone surrogate, which is not text; repair the line")
    spans = []
    for marked in document.entities:
        tried = ways if marked.mention is not None else ways[:1]
        for same, way in product((_exactly, _loosely), tried):
            if span := _span(document.text, marked, places, way, same):
                spans.append(span)
                used[way] += 1
                break
        else:
            bad.append(
                f"{document.file}, line {marked.line or document.line}: entity {marked.type} "
                f"{marked.start} {marked.end} " + _problem(document.text, marked)
            )
    return AnnotatedText(document.text, ordered(spans), None, document.line, document.id)


def _problem(text: str, marked: Marked) -> str:
    if marked.mention is not None:
        there = text[max(0, marked.start) : max(0, marked.end)]
        return f"is not its mention {shown(marked.mention)} (there: {shown(there)})"
    return f"is empty or outside of its text, which has {len(text):,} characters"


def _warn_of_guess(
    path: Path, documents: Sequence[Document], ways: Sequence[Way], fits: Counter[Way]
) -> None:
    """Say what neither a mention nor an offset has decided."""
    marked = [each for document in documents for each in document.entities]
    if any(each.mention is not None for each in marked):
        return
    equal = [way for way in ways if fits[way] == fits[ways[0]]] if marked else []
    for at, option in ((0, "end"), (1, "units")):
        if len({way[at] for way in equal}) > 1:
            log.warning(
                "%s: nothing in it says which %s its offsets have; read as %s (dataset.%s)",
                path, option, ways[0][at], option,
            )  # fmt: skip


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
