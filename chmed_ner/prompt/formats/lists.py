"""Answers that list mentions without positions: restoration places them.

A mention is looked up in the sentence as it is written, then folded (see `folding`), so that it is
spelled as the sentence spells it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

from chmed_ner.entities.types import Mention
from chmed_ner.prompt.formats.answer import Answer
from chmed_ner.prompt.formats.folding import FoldedText

_BULLET = re.compile(r"(?:[-–—•·●○▪◦‧]|\*(?!\*)|[①-⑳]|[(（]?\d{1,3}(?:[.．](?!\d)|[)）、]))\s*")
_QUOTES = {marks[0]: marks for marks in zip("“‘「『【\"'`", "”’」』】\"'`", strict=True)}
_QUOTES["*"] = ("**", "**")
Item = TypeVar("Item")


def listed_answer(
    items: Iterable[Item],
    read: Callable[[Item], Mention | str | None],
    allowed: Callable[[Mention], int],
    sentence: str,
    problems: Counter[str],
) -> Answer:
    """The answer that lists `items`; what cannot be used is counted with the other `problems`.

    `read` gives an item's mention, or the problem that it is, or None for an item that says
    nothing. A mention that is listed more often than `allowed` counts as repeated.
    """
    known: dict[Item, Mention | str | None] = {}  # a model that loops writes the same for ever
    times: Counter[Mention] = Counter()
    mentions: list[Mention] = []
    for item in items:
        if item not in known:
            known[item] = read(item)
        found = known[item]
        if isinstance(found, str):
            problems[found] += 1
        elif found is not None:
            times[found] += 1
            if times[found] > 1 and times[found] > allowed(found):
                problems["repeated_line"] += 1
                continue
            if found.text not in sentence:
                problems["not_in_sentence"] += 1
            mentions.append(found)
    return Answer(tuple(mentions), {reason: n for reason, n in problems.items() if n})


def spelling(sentence: FoldedText, words: str) -> str | None:
    """The piece of the sentence that `words` means, as written, else folded; None for none."""
    variants = _variants(words)
    for variant in variants:
        if variant in sentence.text:
            return variant
    places = (sentence.place(variant) for variant in variants)
    return next((sentence.text[slice(*place)] for place in places if place), None)


def bare(words: str) -> str:
    """`words` without bullet and quotation marks; with them if nothing else is left."""
    return _variants(words)[-1]


def unquoted(words: str) -> str:
    """`words` without the quotation marks around them, if there are any."""
    opening, closing = _QUOTES.get(words[:1], (words, ""))
    longer = len(words) > len(opening) + len(closing)
    if longer and words.startswith(opening) and words.endswith(closing):
        return words[len(opening) : -len(closing)].strip()
    return words


def _variants(words: str) -> list[str]:
    """`words` as written, then without a bullet, then without quotation marks; none is empty."""
    bullet = _BULLET.match(words)
    plain = words[bullet.end() :] if bullet else words
    variants = [words]
    if plain and bullet:
        variants.append(plain)
    if plain[:1] in _QUOTES and (inside := unquoted(plain)):
        variants.append(inside)
    return variants
