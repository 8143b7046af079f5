"""Spans <-> BIO tags: the only place that knows what `B-` means.

The chunk rules are those of the organisers' `conlleval` (a Python port of the CoNLL-2000 script):
a tag is split at its first hyphen into prefix and type; a chunk starts at `B-`, at `I-` after a tag
whose prefix is `O`, and wherever the prefix is not `O` and the type differs from the tag before; it
ends where the next one starts, or at a tag with prefix `O`. So a stray `I-X` starts a chunk, `i-X`
continues a chunk of type X or starts one, and `O-X` is outside.
"""

from collections.abc import Iterable, Sequence

from chmed_ner.types import Span

OUTSIDE = "O"


def split_tag(tag: str) -> tuple[str, str]:
    """Prefix and type of `tag` (`B-DISE` -> `B`, `DISE`; `O` -> `O`, ``)."""
    prefix, _, type_ = tag.partition("-")
    return prefix, type_


def chunks(tags: Sequence[str]) -> tuple[Span, ...]:
    """The entities that the official scorer sees in one sentence's tags, in text order."""
    found: list[Span] = []
    start, open_type = -1, ""
    previous, previous_type = OUTSIDE, ""
    for position, tag in enumerate(tags):
        prefix, type_ = split_tag(tag)
        outside = prefix in (OUTSIDE, ".")
        starts = not outside and (
            prefix == "B" or (prefix == "I" and previous == OUTSIDE) or type_ != previous_type
        )
        if start >= 0 and (starts or outside):
            found.append(Span(start, position, open_type))
            start = -1
        if starts:
            start, open_type = position, type_
        previous, previous_type = prefix, type_
    if start >= 0:
        found.append(Span(start, len(tags), open_type))
    return tuple(found)


def tags_of(spans: Iterable[Span], length: int) -> tuple[str, ...]:
    """One BIO tag per code point of a sentence of `length` code points.

    Raises ValueError for a span outside the sentence or overlapping another.
    """
    tags = [OUTSIDE] * length
    for span in spans:
        if not 0 <= span.start < span.end <= length:
            raise ValueError(f"{span} does not lie in a sentence of {length} characters")
        if any(tag != OUTSIDE for tag in tags[span.start : span.end]):
            raise ValueError(f"{span} overlaps another span")
        tags[span.start] = f"B-{span.type}"
        tags[span.start + 1 : span.end] = [f"I-{span.type}"] * (span.end - span.start - 1)
    return tuple(tags)


def repairs(tags: Sequence[str]) -> int:
    """How many tags change when the sentence is written again from its chunks.

    Training reads the chunks, so this is the number of stray or malformed tags it repairs: a stray
    `I-X` becomes `B-X`, `i-X` becomes `I-X` or `B-X`, `O-X` becomes `O`.
    """
    repaired = tags_of(chunks(tags), len(tags))
    return sum(1 for before, after in zip(tags, repaired, strict=True) if before != after)
