"""The grammars of the formats that copy the sentence: marked in place, or tagged.

A copy passes every character in order, so an answer cannot repeat itself and there is nothing to
remember: a node is a position and what stands open there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import cast

from chmed_ner.entities.grammar import NOTHING_LOST, Grammar, Node, Step, check_words

_OUTSIDE, _OPEN, _BETWEEN, _NAMING = range(4)
_Place = tuple[int, int, str]
"""Kind of node, the next character, and what the characters before it have been tagged with."""
_CLOSED, _BEGUN = "closed", "begun "
"""In the place of a tag: an entity has just ended; before one: its first character follows none."""


@dataclass(eq=False)
class MarkedGrammar:
    """The copy with entities marked: `opening`, characters, `bar`, category and closing mark.

    `shown` are the sentence's characters as they are copied.
    """

    shown: tuple[str, ...]
    opening: str
    bar: str
    names: tuple[str, ...]  # with the closing mark behind each
    writable: Callable[[str], bool] = NOTHING_LOST
    start: Node = field(default=(_OUTSIDE, 0, ""), init=False)

    def steps(self, node: Node) -> Iterable[Step]:
        """The next character, a mark that opens, the bar, or a category that closes."""
        kind, at, tag = cast("_Place", node)
        if kind == _NAMING:
            for name in self.names:
                yield name, (_OUTSIDE, at, _CLOSED)
            return
        if at < len(self.shown):
            inside = (_OPEN, at + 1, "some")
            yield self.shown[at], inside if kind == _OPEN else (_OUTSIDE, at + 1, "")
            if kind == _OUTSIDE:
                yield self.opening, (_OPEN, at, "")
        if kind == _OPEN and tag:
            yield self.bar, (_NAMING, at, "")

    def ends(self, node: Node) -> bool:
        """Behind the last character, with nothing open."""
        kind, at, _ = cast("_Place", node)
        return kind == _OUTSIDE and at == len(self.shown)

    def way_out(self, node: Node) -> Step:
        """Close what is open, copy the rest."""
        kind, at, tag = cast("_Place", node)
        if kind == _NAMING or (kind == _OPEN and tag):
            shortest = min(self.names, key=len)
            text = shortest if kind == _NAMING else self.bar + shortest
            return text, (_OUTSIDE, at, _CLOSED)
        return self.shown[at], (_OPEN, at + 1, "some") if kind == _OPEN else (_OUTSIDE, at + 1, "")

    def tells(self, node: Node) -> bool | None:
        """An opening mark begins an entity, a character outside passes on."""
        kind, _, tag = cast("_Place", node)
        return None if tag == _CLOSED or kind == _NAMING else kind == _OPEN

    def within(self, writable: Callable[[str], bool]) -> Grammar:
        """Without the characters that cannot be written: the copy passes over them."""
        check_words([self.opening, self.bar, *self.names], writable)
        return replace(self, shown=_written(self.shown, writable), writable=writable)

    def forgetful(self) -> Grammar:
        """Itself."""
        return self


@dataclass(eq=False)
class TaggedGrammar:
    """Characters with their tags: a character, `separator`, a tag; `between` before the next.

    `tags` maps each type to the names of its `B-` and `I-` tags; the empty type has the name of
    `O` twice. An `I-` tag only follows its own type.
    """

    shown: tuple[str, ...]
    separator: str
    between: str
    tags: dict[str, tuple[str, str]]
    writable: Callable[[str], bool] = NOTHING_LOST
    start: Node = field(default=(_OUTSIDE, 0, ""), init=False)

    def steps(self, node: Node) -> Iterable[Step]:
        """The next character, or its tag."""
        kind, at, before = cast("_Place", node)
        if kind == _OUTSIDE and at < len(self.shown):
            yield self.shown[at] + self.separator, (_OPEN, at, before)
        elif kind == _OPEN:
            for type_, (begin, inside) in self.tags.items():
                yield begin, (_BETWEEN, at + 1, type_ if before or not type_ else _BEGUN + type_)
                if type_ == before.removeprefix(_BEGUN) and inside != begin:
                    yield inside, (_BETWEEN, at + 1, type_)
        elif kind == _BETWEEN and at < len(self.shown):
            yield self.between, (_OUTSIDE, at, before)

    def ends(self, node: Node) -> bool:
        """Behind the last character's tag."""
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

    def tells(self, node: Node) -> bool | None:
        """The first tag of an entity behind none begins one, the tag for none passes on."""
        _, _, before = cast("_Place", node)
        return True if before.startswith(_BEGUN) else None if before else False

    def within(self, writable: Callable[[str], bool]) -> Grammar:
        """Without the characters that cannot be written: the copy passes over them."""
        names = [name for pair in self.tags.values() for name in pair]
        check_words([self.separator, self.between, *names], writable)
        return replace(self, shown=_written(self.shown, writable), writable=writable)

    def forgetful(self) -> Grammar:
        """Itself."""
        return self


@dataclass(eq=False)
class RunsGrammar:
    """Stretches of the copy with their names: characters, `separator`, a name; `between` lines.

    `outside` is the name of a stretch outside entities; two of those do not follow each other.
    """

    shown: tuple[str, ...]
    separator: str
    between: str
    names: tuple[str, ...]
    outside: str
    writable: Callable[[str], bool] = NOTHING_LOST
    start: Node = field(default=(_OUTSIDE, 0, ""), init=False)

    def steps(self, node: Node) -> Iterable[Step]:
        """One more character, the stretch's name, or the next line."""
        kind, at, before = cast("_Place", node)
        if kind == _BETWEEN:
            if at < len(self.shown):
                yield self.between, (_OUTSIDE, at, before)
            return
        if at < len(self.shown):
            yield self.shown[at], (_OPEN, at + 1, before)
        if kind == _OPEN:
            for name in self.names:
                yield self.separator + name, (_BETWEEN, at, "")
            if before != self.outside:
                yield self.separator + self.outside, (_BETWEEN, at, self.outside)

    def ends(self, node: Node) -> bool:
        """Behind the last stretch's name."""
        kind, at, _ = cast("_Place", node)
        return at == len(self.shown) and (kind == _BETWEEN or not self.shown)

    def way_out(self, node: Node) -> Step:
        """The rest as one stretch, outside entities if it may be."""
        kind, at, before = cast("_Place", node)
        if kind == _BETWEEN:
            return self.between, (_OUTSIDE, at, before)
        if at < len(self.shown):
            return self.shown[at], (_OPEN, at + 1, before)
        name = self.outside if before != self.outside else min(self.names, key=len)
        return self.separator + name, (_BETWEEN, at, name if name == self.outside else "")

    def tells(self, node: Node) -> bool | None:
        """The name of a type begins an entity, the one for none passes on."""
        kind, _, before = cast("_Place", node)
        return None if kind == _OPEN else before != self.outside

    def within(self, writable: Callable[[str], bool]) -> Grammar:
        """Without the characters that cannot be written: the copy passes over them."""
        check_words([self.separator, self.between, *self.names, self.outside], writable)
        return replace(self, shown=_written(self.shown, writable), writable=writable)

    def forgetful(self) -> Grammar:
        """Itself."""
        return self


def _written(shown: tuple[str, ...], writable: Callable[[str], bool]) -> tuple[str, ...]:
    return tuple(piece for piece in shown if all(map(writable, piece)))
