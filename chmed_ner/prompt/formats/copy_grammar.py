"""The grammars of the formats that copy the sentence: marked in place, or tagged.

A copy passes every character in order and cannot repeat itself, so there is nothing to remember: a
node is a position and what is open there.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, cast

from chmed_ner.entities import OUTSIDE, Grammar, Node, Step, check_words

_OUTSIDE, _OPEN, _BETWEEN, _NAMING = range(4)
_Place = tuple[int, int, str]
"""Kind of node, the next character, and what the characters before it have been tagged with."""


@dataclass(eq=False)
class CopyGrammar(Grammar):
    """The copy of a sentence; `shown` are its characters as they are copied."""

    start: ClassVar[Node] = (_OUTSIDE, 0, "")
    shown: tuple[str, ...]

    @abstractmethod
    def words(self) -> Iterable[str]:
        """What an answer needs in addition to the sentence's characters."""

    def within(self, writable: Callable[[str], bool]) -> Grammar:
        """Without the characters that cannot be written: the copy passes over them."""
        check_words(self.words(), writable)
        kept = (piece for piece in self.shown if all(map(writable, piece)))
        return replace(self, shown=tuple(kept))

    def forgetful(self) -> Grammar:
        return self


_Marked = tuple[bool, int, tuple[bool, ...], frozenset[int] | None]
"""Whether a category comes next; the next character; for each open mark, whether it begins where
the one around it does; the categories of the entities that cover all since the innermost open mark,
None just after that mark."""


@dataclass(eq=False)
class MarkedGrammar(CopyGrammar):
    """The copy with entities marked: `[`, characters, `|`, category and closing mark.

    Up to `deepest` marks are open at once; no entity is marked twice with one category, so of marks
    that begin together only as many end together as there are categories.
    """

    start: ClassVar[Node] = (False, 0, (), frozenset())
    names: tuple[str, ...]  # each with the closing mark
    deepest: int = 1
    distinct: bool = True

    def steps(self, node: Node) -> Iterable[Step]:
        """The next character, a mark that opens, the bar, or a category that closes."""
        naming, at, opened, covering = cast("_Marked", node)
        if naming:
            for number, name in enumerate(self.names):
                if number not in (covering or ()):
                    yield name, self._closed(node, number)
            return
        if self._may_copy(opened, at):
            yield self.shown[at], (False, at + 1, opened, frozenset())
        more = (*opened, self.distinct and covering is None)
        if len(opened) < self.deepest and self._may_copy(more, at):
            yield "[", (False, at, more, None)
        if self._may_close(node):
            yield "|", (True, at, opened, covering)

    def ends(self, node: Node) -> bool:
        """After the last character, with nothing open."""
        naming, at, opened, _ = cast("_Marked", node)
        return not naming and not opened and at == len(self.shown)

    def way_out(self, node: Node) -> Step:
        """Close what is open, copy the rest."""
        naming, at, opened, covering = cast("_Marked", node)
        if naming or self._may_close(node):
            left = [number for number in range(len(self.names)) if number not in (covering or ())]
            shortest = min(left, key=lambda number: len(self.names[number]))
            text = self.names[shortest]
            return text if naming else "|" + text, self._closed(node, shortest)
        return self.shown[at], (False, at + 1, opened, frozenset())

    def words(self) -> Iterable[str]:
        return "[", "|", *self.names

    def forgetful(self) -> Grammar:
        """An entity may be marked twice with one category."""
        return replace(self, distinct=False)

    def _may_close(self, node: Node) -> bool:
        _, _, opened, covering = cast("_Marked", node)
        return bool(opened) and covering is not None and len(covering) < len(self.names)

    def _may_copy(self, opened: tuple[bool, ...], at: int) -> bool:
        """Is there a next character, and can all open marks be closed after it?"""
        last = len(self.shown)  # where the innermost of them must begin to be closed
        together = 0
        for begins in (*opened, False):
            if not begins and together:
                last -= (together - 1) // len(self.names)
                together = 0
            together += 1
        return at < last

    def _closed(self, node: Node, number: int) -> Node:
        _, at, opened, covering = cast("_Marked", node)
        covers = opened[-1] and self.distinct
        return (
            False,
            at,
            opened[:-1],
            (covering or frozenset()) | {number} if covers else frozenset(),
        )


@dataclass(eq=False)
class TaggedGrammar(CopyGrammar):
    """Characters with their tags: a character, `separator`, a tag; `between` before the next.

    `tags` maps each type to its `B-` and `I-` tags, the empty type to `O` twice. An `I-` tag only
    follows its own type.
    """

    separator: str
    between: str
    tags: dict[str, tuple[str, str]]

    def steps(self, node: Node) -> Iterable[Step]:
        """The next character, or its tag."""
        kind, at, before = cast("_Place", node)
        if kind == _OUTSIDE and at < len(self.shown):
            yield self.shown[at] + self.separator, (_OPEN, at, before)
        elif kind == _OPEN:
            for type_, (begin, inside) in self.tags.items():
                yield begin, (_BETWEEN, at + 1, type_)
                if type_ == before and inside != begin:
                    yield inside, (_BETWEEN, at + 1, type_)
        elif kind == _BETWEEN and at < len(self.shown):
            yield self.between, (_OUTSIDE, at, before)

    def ends(self, node: Node) -> bool:
        """After the last character's tag."""
        kind, at, _ = cast("_Place", node)
        return kind != _OPEN and at == len(self.shown)

    def way_out(self, node: Node) -> Step:
        """The characters left, none of an entity."""
        kind, at, before = cast("_Place", node)
        if kind == _OUTSIDE:
            return self.shown[at] + self.separator, (_OPEN, at, before)
        if kind == _OPEN:
            return self.tags[""][0], (_BETWEEN, at + 1, "")
        return self.between, (_OUTSIDE, at, before)

    def words(self) -> Iterable[str]:
        names = (name for pair in self.tags.values() for name in pair)
        return self.separator, self.between, *names


@dataclass(eq=False)
class RunsGrammar(CopyGrammar):
    """Stretches of the copy, a line each: characters, a space, a name; no two `O` in a row."""

    names: tuple[str, ...]

    def steps(self, node: Node) -> Iterable[Step]:
        """One more character, the stretch's name, or the next line."""
        kind, at, before = cast("_Place", node)
        if kind == _BETWEEN:
            if at < len(self.shown):
                yield "\n", (_OUTSIDE, at, before)
            return
        if at < len(self.shown):
            yield self.shown[at], (_OPEN, at + 1, before)
        if kind == _OPEN:
            for name in self.names:
                yield " " + name, (_BETWEEN, at, "")
            if before != OUTSIDE:
                yield " " + OUTSIDE, (_BETWEEN, at, OUTSIDE)

    def ends(self, node: Node) -> bool:
        """After the last stretch's name."""
        kind, at, _ = cast("_Place", node)
        return at == len(self.shown) and (kind == _BETWEEN or not self.shown)

    def way_out(self, node: Node) -> Step:
        """The rest as one stretch, outside entities if it may be."""
        kind, at, before = cast("_Place", node)
        if kind == _BETWEEN:
            return "\n", (_OUTSIDE, at, before)
        if at < len(self.shown):
            return self.shown[at], (_OPEN, at + 1, before)
        name = OUTSIDE if before != OUTSIDE else min(self.names, key=len)
        return " " + name, (_BETWEEN, at, name if name == OUTSIDE else "")

    def words(self) -> Iterable[str]:
        return " ", "\n", *self.names, OUTSIDE
