"""The four restoration policies.

Each takes the mentions in listed order and returns spans that do not overlap. They differ in which
occurrences of a mention they take, and in what order mentions compete for the same characters.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chmed_ner.entities.types import Mention, Span
from chmed_ner.errors import InputError


@dataclass(frozen=True, slots=True)
class Restored:
    """The accepted spans in text order, and how many mentions the sentence does not hold.

    `not_found` counts distinct (mention, type) pairs, except under `in_order`, where each listed
    mention counts that is not found after the cursor.
    """

    spans: tuple[Span, ...]
    not_found: int


def occurrences(text: str, mention: str) -> Iterable[int]:
    """Start offsets of `mention` in `text`, left to right, those that overlap each other too."""
    position = text.find(mention) if mention else -1
    while position >= 0:
        yield position
        position = text.find(mention, position + 1)


class _Page:
    """The characters of one sentence that are still free, and the spans taken so far."""

    def __init__(self, length: int) -> None:
        self.taken = bytearray(length)
        self.spans: list[Span] = []

    def take(self, start: int, mention: Mention) -> None:
        """Accept the span unless it overlaps an accepted one."""
        end = start + len(mention.text)
        if not any(self.taken[start:end]):
            self.taken[start:end] = b"\1" * (end - start)
            self.spans.append(Span(start, end, mention.type))


def _everywhere(text: str, mentions: Iterable[Mention]) -> Restored:
    page, not_found = _Page(len(text)), 0
    for mention in mentions:
        found = False
        for start in occurrences(text, mention.text):
            found = True
            page.take(start, mention)
        not_found += not found
    return Restored(tuple(sorted(page.spans)), not_found)


def longest_first(text: str, mentions: Sequence[Mention]) -> Restored:
    """Distinct pairs, longest first (ties in listed order), every occurrence that is still free."""
    distinct = dict.fromkeys(mentions)
    return _everywhere(text, sorted(distinct, key=lambda mention: -len(mention.text)))


def all_occurrences(text: str, mentions: Sequence[Mention]) -> Restored:
    """Distinct pairs in listed order, every occurrence that is still free."""
    return _everywhere(text, dict.fromkeys(mentions))


def first(text: str, mentions: Sequence[Mention]) -> Restored:
    """Distinct pairs in listed order, only the leftmost occurrence, skipped where it overlaps."""
    page, not_found = _Page(len(text)), 0
    for mention in dict.fromkeys(mentions):
        start = text.find(mention.text) if mention.text else -1
        if start < 0:
            not_found += 1
        else:
            page.take(start, mention)
    return Restored(tuple(sorted(page.spans)), not_found)


def in_order(text: str, mentions: Sequence[Mention]) -> Restored:
    """The list with its repeats, each searched from the end of the last match."""
    cursor, not_found = 0, 0
    spans: list[Span] = []
    for mention in mentions:
        start = text.find(mention.text, cursor) if mention.text else -1
        if start < 0:
            not_found += 1
            continue
        cursor = start + len(mention.text)
        spans.append(Span(start, cursor, mention.type))
    return Restored(tuple(spans), not_found)


POLICIES: dict[str, Callable[[str, Sequence[Mention]], Restored]] = {
    "longest_first": longest_first,
    "all_occurrences": all_occurrences,
    "first": first,
    "in_order": in_order,
}
"""Every policy by its name in the configuration and in metric names."""


def restore(policy: str, text: str, mentions: Sequence[Mention]) -> Restored:
    """The spans of `mentions` in `text` by the policy named; KeyError for an unknown name.

    `text` and the mentions must be in the same script; as a script step keeps lengths, the spans
    hold in the original text too.
    """
    return POLICIES[policy](text, mentions)


__all__ = ["POLICIES", "Headline", "Restored", "restore"]


@dataclass(frozen=True)
class Headline:
    """The policy whose score is a run's headline; the others are scored beside it."""

    policy: str

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise InputError(
                f"restoration.policy={self.policy!r}: choose one of {', '.join(POLICIES)}"
            )
