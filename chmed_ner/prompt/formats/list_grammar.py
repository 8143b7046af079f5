"""The grammar of the extraction style: lines of a piece of the sentence and a category."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import cast

from chmed_ner.entities import (
    NOTHING_LOST,
    Grammar,
    Node,
    Span,
    Step,
    check_words,
    crosses,
    order,
)

_START, _LINE, _MENTION, _NAMED, _DONE, _NONE = range(6)
_Place = tuple[int, ...]
"""Kind of node, number of the memory, and the mention's [start, end) so far; after a category that
is remembered, its number too. After the separator the mention is complete (`_NAMED`)."""


@dataclass(frozen=True)
class _Memory:
    """What has been listed: (mention, category) pairs, and the end of the last mention; where
    mentions nest its start, and the spans that still hold that place, the last mention's last."""

    listed: frozenset[tuple[str, int]] = frozenset()
    cursor: int = 0
    opened: tuple[Span, ...] = ()

    def full(self, categories: int) -> set[str]:
        """The mentions listed with every category."""
        if len(self.listed) < categories:
            return set()
        counts = Counter(mention for mention, _ in self.listed)
        return {mention for mention, count in counts.items() if count == categories}


@dataclass(eq=False)
class ListGrammar:
    """`mention-category` lines, or the word for none; a mention is part of a line of `sentence`.

    It does not begin with white space, and white space at its end is no part of it. `distinct`: no
    pair is listed twice. `in_order`: each mention is found after the one before. Where mentions
    nest, `nested_types` are the types of `names`, and one inside another comes after it.
    """

    sentence: str
    separator: str
    names: tuple[str, ...]
    none: str
    distinct: bool
    in_order: bool
    nested_types: tuple[str, ...] = ()
    writable: Callable[[str], bool] = NOTHING_LOST
    start: Node = field(default=(_START, 0, 0, 0), init=False)

    def __post_init__(self) -> None:
        self._nested = self.in_order and bool(self.nested_types)
        self._memories = [_Memory()]
        self._numbers = {_Memory(): 0}
        self._full: dict[int, set[str]] = {0: set()}
        self._writes = [c not in "\r\n" and self.writable(c) for c in self.sentence]
        self._starts = [
            at
            for at, character in enumerate(self.sentence)
            if self._writes[at] and not character.isspace()
        ]

    def steps(self, node: Node) -> Iterable[Step]:
        """Characters of a mention, its separator, a category, a new line."""
        kind, memory, start, end, *_ = cast("_Place", node)
        if kind == _START:
            yield self.none, (_NONE, 0, 0, 0)
        if kind in (_START, _LINE):
            for at in self._open(memory):
                yield self.sentence[at], self._mention(memory, at, at + 1)
        elif kind == _MENTION:
            if self._goes_on(memory, start, end):
                yield self.sentence[end], self._mention(memory, start, end + 1)
            if self._can_be_listed(memory, start, end):
                known = (start, end) if self.distinct or self.in_order else (0, 0)
                yield self.separator, (_NAMED, memory, *known)
        elif kind == _NAMED:
            for category in self._free(memory, start, end):
                yield self.names[category], self._done(memory, start, end, category)
        elif kind == _DONE:
            memory = self._after(cast("_Place", node))
            if next(iter(self._open(memory)), None) is not None:
                yield "\n", (_LINE, memory, 0, 0)

    def ends(self, node: Node) -> bool:
        """After a category, and after the word for none."""
        return cast("_Place", node)[0] in (_DONE, _NONE)

    def way_out(self, node: Node) -> Step:
        """The shortest category that is left; the word for none at the start."""
        kind, memory, start, end, *_ = cast("_Place", node)
        if kind == _START:
            return self.none, (_NONE, 0, 0, 0)
        if kind == _LINE:
            at = next(iter(self._open(memory)))
            return self.sentence[at], self._mention(memory, at, at + 1)
        if not self._can_be_listed(memory, start, end):
            return self.sentence[end], self._mention(memory, start, end + 1)
        free = self._free(memory, start, end)
        category = min(free, key=lambda at: (len(self.names[at]), at))
        after = self._done(memory, start, end, category)
        name = self.names[category]
        return name if kind == _NAMED else self.separator + name, after

    def within(self, writable: Callable[[str], bool]) -> Grammar:
        """Without the pieces that hold a character which cannot be written."""
        check_words([*self.names, self.separator, self.none, "\n"], writable)
        return replace(self, writable=writable)

    def forgetful(self) -> Grammar:
        """Lines may be repeated, in any order."""
        return replace(self, distinct=False, in_order=False, nested_types=())

    def _done(self, memory: int, start: int, end: int, category: int) -> _Place:
        """After a category. What is remembered is worked out when the answer goes on: of all the
        ways that are looked at, few are taken."""
        if not self.distinct and not self.in_order:
            return (_DONE, memory, 0, 0)
        return (_DONE, memory, start, end, category)

    def _mention(self, memory: int, start: int, end: int) -> _Place:
        """Where nothing is remembered, it does not matter how a mention began."""
        return (_MENTION, memory, start if self.distinct or self.in_order else 0, end)

    def _words(self, start: int, end: int) -> str:
        return self.sentence[start:end].rstrip()

    def _open(self, memory: int) -> Iterable[int]:
        """Where the next line's mention may start."""
        cursor = self._memories[memory].cursor
        for at in self._starts:
            if at >= cursor and self._leads_on(memory, at, at + 1):
                yield at

    def _goes_on(self, memory: int, start: int, end: int) -> bool:
        """May the mention take one more character?"""
        longer = end < len(self.sentence) and self._writes[end]
        return longer and self._leads_on(memory, start, end + 1)

    def _leads_on(self, memory: int, start: int, end: int) -> bool:
        """Can this mention, or a longer one, still be listed?"""
        if not self._full[memory] and not self._nested:
            return True
        while not self._can_be_listed(memory, start, end):
            if end == len(self.sentence) or not self._writes[end]:
                return False
            end += 1
        return True

    def _can_be_listed(self, memory: int, start: int, end: int) -> bool:
        """Is a category left with which the mention may be listed?"""
        if self._nested:
            return bool(self._free(memory, start, end))
        full = self._full[memory]
        return not full or self._words(start, end) not in full

    def _free(self, memory: int, start: int, end: int) -> list[int]:
        """The categories with which the mention may be listed."""
        listed, every = self._memories[memory].listed, range(len(self.names))
        if not listed and not self._nested:
            return list(every)
        words = self._words(start, end)
        return [
            at
            for at in every
            if (words, at) not in listed and (not self._nested or self._placed(memory, words, at))
        ]

    def _placed(self, memory: int, words: str, category: int) -> Span | None:
        """Where `in_order` restoration finds a mention: after the last one, or inside it."""
        opened = self._memories[memory].opened
        at = self.sentence.find(words, self._memories[memory].cursor)
        while at >= 0:
            span = Span(at, at + len(words), self.nested_types[category])
            after = not opened or order(span) > order(opened[-1])
            if after and not any(crosses(span, other) for other in opened):
                return span
            at = self.sentence.find(words, at + 1)
        return None

    def _after(self, done: _Place) -> int:
        """The number of the memory once the mention of a node after a category is listed."""
        _, memory, start, end, *categories = done
        before = self._memories[memory]
        listed, cursor, opened = before.listed, before.cursor, before.opened
        if not categories:
            return memory
        words = self._words(start, end)
        if self.distinct:
            listed |= {(words, categories[0])}
        if self._nested:
            span = self._placed(memory, words, categories[0])
            assert span is not None, "only such categories are offered"
            cursor = span.start
            opened = (*(each for each in opened if each.end > cursor), span)
        elif self.in_order:
            cursor = self.sentence.index(words, cursor) + len(words)
        after = _Memory(listed, cursor, opened)
        number = self._numbers.setdefault(after, len(self._memories))
        if number == len(self._memories):
            self._memories.append(after)
            self._full[number] = after.full(len(self.names)) if self.distinct else set()
        return number
