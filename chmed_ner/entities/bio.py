"""BIO tags <-> spans: `tags_of` writes tags, `chunks` reads them as the official scorer does."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from chmed_ner.entities.types import Span
from chmed_ner.errors import InputError

OUTSIDE = "O"


def split_tag(tag: str) -> tuple[str, str]:
    """`B-DISE` -> `B`, `DISE`; `O` -> `O`, ``; InputError where `conlleval` breaks off."""
    prefix, hyphen, type_ = tag.partition("-")
    if not hyphen and tag != OUTSIDE:
        raise InputError(f"tag {tag!r} is neither 'O' nor PREFIX-TYPE such as 'B-DISE'")
    return prefix, type_


@lru_cache(maxsize=65536)
def _boundary(previous: str, tag: str) -> tuple[bool, bool, str]:
    """Between two tags: whether a chunk ends, whether one starts, and the type it would have."""
    before, type_before = split_tag(previous)
    here, type_here = split_tag(tag)
    breaks = type_before != type_here or here in ("B", "S") or before in ("E", "S")
    ends = before != OUTSIDE and (here == OUTSIDE or breaks)
    starts = here != OUTSIDE and (before == OUTSIDE or breaks)
    return ends, starts, type_here


def may_follow(previous: str, tag: str) -> bool:
    """Whether BIO allows `tag` after `previous` (`O` before the first character)."""
    prefix, type_ = split_tag(tag)
    return prefix != "I" or (previous != OUTSIDE and split_tag(previous)[1] == type_)


def chunks(tags: Sequence[str]) -> tuple[Span, ...]:
    """The entities that `conlleval` sees in a sentence, in text order; InputError: a broken tag."""
    found: list[Span] = []
    start, type_, previous = 0, "", OUTSIDE
    for position, tag in enumerate(tags):
        if tag == previous == OUTSIDE:
            continue
        ends, starts, type_here = _boundary(previous, tag)
        if ends:
            found.append(Span(start, position, type_))
        if starts:
            start, type_ = position, type_here
        previous = tag
    if split_tag(previous)[0] != OUTSIDE:
        found.append(Span(start, len(tags), type_))
    return tuple(found)


def tags_of(spans: Iterable[Span], length: int) -> tuple[str, ...]:
    """One BIO tag per code point; ValueError: a span outside the sentence, or over another."""
    tags = [OUTSIDE] * length
    for span in spans:
        if not 0 <= span.start < span.end <= length:
            raise ValueError(f"{span} is not inside a sentence of {length} characters")
        if any(tag != OUTSIDE for tag in tags[span.start : span.end]):
            raise ValueError(f"{span} overlaps another span")
        tags[span.start] = f"B-{span.type}"
        tags[span.start + 1 : span.end] = [f"I-{span.type}"] * (span.end - span.start - 1)
    return tuple(tags)
