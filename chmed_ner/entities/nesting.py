"""Entities inside others: their order, the flat layers they form, which sets of them are legal."""

from collections.abc import Iterable

from chmed_ner.entities.types import Span

Spans = tuple[Span, ...]


def order(span: Span) -> tuple[int, int, str]:
    """The key of the text order: by start, the longer first, then by type."""
    return span.start, -span.end, span.type


def in_text_order(spans: Iterable[Span]) -> Spans:
    """The spans so ordered that an entity comes before those inside it."""
    return tuple(sorted(spans, key=order))


def crosses(one: Span, other: Span) -> bool:
    """Do they overlap, neither inside the other?"""
    first, second = (one, other) if one.start <= other.start else (other, one)
    return first.start < second.start < first.end < second.end


def layers(spans: Iterable[Span]) -> list[Spans]:
    """The spans as flat layers, at least one: the outermost first, then those inside them, ...

    Of two that cross, the second in text order is in a layer below the first.
    """
    found: list[list[Span]] = [[]]
    for span in in_text_order(spans):
        for layer in found:
            if not layer or layer[-1].end <= span.start:
                layer.append(span)
                break
        else:
            found.append([span])
    return [tuple(layer) for layer in found]


def nestable(spans: Iterable[Span]) -> Spans:
    """The spans in text order, each once, without those that cross an earlier one that is kept."""
    kept: list[Span] = []
    opened: list[Span] = []
    for span in in_text_order(set(spans)):
        while opened and opened[-1].end <= span.start:
            opened.pop()
        if not opened or span.end <= opened[-1].end:
            opened.append(span)
            kept.append(span)
            opened.append(span)
    return tuple(kept)


def surest(spans: Iterable[Span], *, nested: bool) -> Spans:
    """The spans in text order, without those that overlap (`nested`: cross) a surer one that is
    kept, of equals a longer, then an earlier one; one without confidence is the least sure."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (-(s.confidence or 0.0), s.start - s.end, s)):
        if nested:
            fits = not any(crosses(span, other) for other in kept)
        else:
            fits = all(span.end <= other.start or other.end <= span.start for other in kept)
        if fits:
            kept.append(span)
    return in_text_order(kept)


def outermost(spans: Iterable[Span], *, of_its_type: bool = False) -> Spans:
    """The spans in text order that lie in no other, or in no other `of_its_type`; of two that cross
    the first."""
    if not of_its_type:
        return layers(spans)[0]
    by_type: dict[str, list[Span]] = {}
    for span in spans:
        by_type.setdefault(span.type, []).append(span)
    return in_text_order(span for some in by_type.values() for span in layers(some)[0])


def inside(spans: Iterable[Span]) -> frozenset[Span]:
    """Those that lie inside a longer one."""
    found = set()
    reach = furthest = 0  # the furthest end of the places before this one, with and without it
    place = (0, 0)
    for span in in_text_order(spans):
        if (span.start, span.end) != place:
            place, reach = (span.start, span.end), furthest
        if span.end <= reach:
            found.add(span)
        furthest = max(furthest, span.end)
    return frozenset(found)


def check_nested(spans: Iterable[Span], length: int) -> None:
    """ValueError: a span outside a sentence of `length` characters, given twice, or that crosses
    another."""
    opened: list[Span] = []
    for span in in_text_order(spans):
        if not 0 <= span.start < span.end <= length:
            raise ValueError(f"{span} is not inside a sentence of {length} characters")
        while opened and opened[-1].end <= span.start:
            opened.pop()
        if opened and (span == opened[-1] or span.end > opened[-1].end):
            raise ValueError(f"{span} overlaps another span and is not inside it")
        opened.append(span)
