"""Spans <-> BIO tags: the only place that knows what `B-` means.

The chunk rules are those of the organisers' `conlleval`. A tag is `O` or PREFIX-TYPE, split at its
first hyphen (`B-DISE`, `I-DISE`, but also `i-DISE`, `O-DISE`, `E-DISE`, `B-`). Prefix `O` is
outside; every other prefix is inside. A chunk starts after an outside tag; at a change of type; at
`B` and `S`; and after `E` and `S`. It ends where the next one starts, or at an outside tag. So a
stray `I-X` starts a chunk, `i-X` continues a chunk of type X or starts one, and `O-X` is outside.
chmed_ner/score/README.md gives the reasons.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from chmed_ner.entities.types import Span
from chmed_ner.errors import InputError

OUTSIDE = "O"


def split_tag(tag: str) -> tuple[str, str]:
    """Prefix and type of `tag`: `B-DISE` -> `B`, `DISE`; `O` -> `O`, ``.

    Raises InputError for a tag that is neither `O` nor PREFIX-TYPE: `conlleval` breaks off there.
    """
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
    """The entities that `conlleval` sees in one sentence, in text order.

    Raises InputError for a malformed tag, as `split_tag`.
    """
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
    """One BIO tag per code point of a sentence of `length` code points.

    Raises ValueError for a span outside the sentence or overlapping another.
    """
    tags = [OUTSIDE] * length
    for span in spans:
        if not 0 <= span.start < span.end <= length:
            raise ValueError(f"{span} is not inside a sentence of {length} characters")
        if any(tag != OUTSIDE for tag in tags[span.start : span.end]):
            raise ValueError(f"{span} overlaps another span")
        tags[span.start] = f"B-{span.type}"
        tags[span.start + 1 : span.end] = [f"I-{span.type}"] * (span.end - span.start - 1)
    return tuple(tags)
