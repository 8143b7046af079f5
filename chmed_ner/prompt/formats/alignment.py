"""What a model copied, put back on the sentence's places by the alignment of least Levenshtein
distance (rapidfuzz): a character that is dropped, doubled or altered moves no other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from unicodedata import normalize

from chmed_ner.entities import (
    OUTSIDE,
    Mention,
    Span,
    chunks,
    in_text_order,
    nestable,
    simplified_character,
    split_tag,
)

if TYPE_CHECKING:
    from rapidfuzz.distance import Opcode

LONGEST_ALTERED = 3
"""A longer stretch that differs from the sentence is other text and says nothing of its places."""
WINDOW = 1024
"""Sentences up to this length are aligned at once, longer ones window by window."""
BLANK = "␣"
"""How white space inside a sentence is written where an answer uses white space itself."""


@dataclass(frozen=True, slots=True)
class Placed:
    """The entities of a copy on its sentence."""

    spans: tuple[Span, ...]  # in text order
    lost: tuple[Mention, ...]  # those without a place there, as written
    edits: int  # characters in which the copy differs from the sentence
    characters: int  # of the sentence, that have a place in the copy
    origins: Mapping[Span, Span]  # what an entity is in the copy


Tags = Sequence[str]
"""One BIO tag per character."""


def place(copy: str, tags: Tags, sentence: str, inner: Sequence[Tags] = ()) -> Placed:
    """The entities that `tags` mark in `copy`, on `sentence`; and those inside them that `inner`
    mark, a layer after the other.

    An entity is lost when fewer than half of its characters have a place, or when those are too far
    apart. It covers up to `LONGEST_ALTERED` places that the copy leaves out within it; one that
    crosses another then is lost, too.
    """
    plain = comparable(copy)
    units, owners = aligned_units(comparable(sentence), plain)
    places, edits = align(plain, units)
    places = [owners[at] if at >= 0 else -1 for at in places]
    spans: list[Span] = []
    lost: list[Mention] = []
    origins: dict[Span, Span] = {}
    for layer in (tags, *inner):
        found: list[str | None] = [None] * len(sentence)
        firsts: dict[int, Span] = {}
        for at, tag in zip(places, layer, strict=True):
            if at >= 0:
                found[at] = found[at] or tag
        for entity in chunks(layer):
            at_places = [at for at in places[entity.start : entity.end] if at >= 0]
            if not _together(at_places, entity.end - entity.start):
                lost.append(Mention(copy[entity.start : entity.end], entity.type))
                for at in at_places:
                    found[at] = OUTSIDE
            else:
                firsts.setdefault(at_places[0], entity)
        for span in chunks(_bridged(found)):
            spans.append(span)
            origin = next((firsts[at] for at in range(span.start, span.end) if at in firsts), None)
            if origin is not None:
                origins.setdefault(span, origin)
    kept = nestable(spans)
    crossing = set(spans).difference(kept)
    lost += [Mention(sentence[s.start : s.end], s.type) for s in in_text_order(crossing)]
    characters = len({at for at in places if at >= 0})
    return Placed(kept, tuple(lost), edits, characters, origins)


def _together(places: Sequence[int], length: int) -> bool:
    """Whether enough of a mention of `length` characters is on neighbouring places."""
    near = 2 * length + LONGEST_ALTERED
    return 2 * len(places) >= length and places[-1] - places[0] < near


def _bridged(found: Sequence[str | None]) -> list[str]:
    """A tag for every place. Up to `LONGEST_ALTERED` places without one belong to the entity of the
    inside tag after them: all if its type also comes before them, else the nearest alone, the
    entity's first character. Other places without a tag are outside."""
    tags = [tag or OUTSIDE for tag in found]
    start = 0
    for at, tag in enumerate(found):
        if tag is None:
            continue
        prefix, type_ = split_tag(tag)
        if prefix == "I" and 0 < at - start <= LONGEST_ALTERED:
            goes_on = start > 0 and split_tag(tags[start - 1])[1] == type_
            first = start if goes_on else at - 1
            tags[first:at] = [tag] * (at - first)
        start = at + 1
    return tags


def align(copy: str, sentence: str) -> tuple[list[int], int]:
    """The place in `sentence` of each character of `copy`, -1 for none; and the number of edits.

    A stretch of altered characters has places if it is not longer than `LONGEST_ALTERED`, nor than
    the mean of the exact copies on both sides of it.
    """
    places = [-1] * len(copy)
    edits = before = 0  # `before`: the length of the exact copy before the stretch
    stretch: list[Step] = []
    for step in (*_steps(copy, sentence), ("equal", len(copy), len(copy), 0, 0)):
        tag, start, end, at, at_end = step
        if tag != "equal":
            stretch.append(step)
            continue
        size = sum(max(to - from_, there_end - there) for _, from_, to, there, there_end in stretch)
        edits += size
        if size <= LONGEST_ALTERED and 2 * size <= before + end - start:
            for _, from_, to, there, there_end in stretch:
                if to - from_ == there_end - there:
                    places[from_:to] = range(there, there_end)
        places[start:end] = range(at, at_end)
        before = end - start
        stretch.clear()
    return places, edits


Step = tuple[str, int, int, int, int]
"""An edit: equal, replace, insert or delete; `[start, end)` in the copy and in the sentence."""


def _steps(copy: str, sentence: str) -> Iterator[Step]:
    """The edits that turn `copy` into `sentence`.

    A long sentence is aligned in windows, of which the first half is kept, so that time is linear;
    a copy that leaves out or adds half a window is lost.
    """
    from rapidfuzz.distance import Levenshtein

    if len(sentence) <= WINDOW:
        yield from _shifted(list(Levenshtein.opcodes(copy, sentence)), 0, 0)
        return
    start = at = 0
    while start < len(copy) and at < len(sentence):
        here, there = copy[start : start + WINDOW], sentence[at : at + WINDOW]
        last = start + WINDOW >= len(copy) and at + WINDOW >= len(sentence)
        kept = list(Levenshtein.opcodes(here, there))
        if not last:
            kept = kept[: _half(kept)]
        yield from _shifted(kept, start, at)
        start, at = start + kept[-1].src_end, at + kept[-1].dest_end
    if start < len(copy):
        yield "delete", start, len(copy), at, at
    if at < len(sentence):
        yield "insert", start, start, at, len(sentence)


def _half(steps: "Sequence[Opcode]") -> int:
    """How many steps it takes to pass half a window on either side."""
    for number, step in enumerate(steps, start=1):
        if max(step.src_end, step.dest_end) >= WINDOW // 2:
            return number
    return len(steps)


def _shifted(steps: "Sequence[Opcode]", start: int, at: int) -> Iterator[Step]:
    for step in steps:
        source = step.src_start + start, step.src_end + start
        yield step.tag, *source, step.dest_start + at, step.dest_end + at


def comparable(text: str) -> str:
    """`text` of the same length with width, case, script and kinds of white space made equal."""
    return "".join(map(_comparable, text))


@cache
def _comparable(character: str) -> str:
    if character == BLANK or character.isspace():
        return " "
    plain = _compatible(simplified_character(character))
    return plain if len(plain) == 1 else character


@cache
def _compatible(character: str) -> str:
    """The character or characters that Unicode calls compatible, never none."""
    return normalize("NFKC", character).casefold() or character


def aligned_units(sentence: str, copy: str) -> tuple[str, list[int]]:
    """What `sentence` is aligned as, and the place of each of its characters.

    Where a tokenizer has written a character as several in `copy` (`℃` as `°C`), it is aligned so.
    """
    owners, units = [], []
    for at, character in enumerate(sentence):
        written = _compatible(character)
        unit = written if character not in copy and written in copy else character
        units.append(unit)
        owners += [at] * len(unit)
    return "".join(units), owners
