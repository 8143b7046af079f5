"""What an answer may look like: a graph whose edges are pieces of text, walked by decoding."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from functools import cache
from typing import Protocol, cast

from chmed_ner.errors import InputError

Node = Hashable
Step = tuple[str, Node]
"""A text, never empty, and the node that it leads to."""

NOTHING_LOST: Callable[[str], bool] = lambda _: True  # noqa: E731
"""Every character can be written."""


class Grammar(Protocol):
    """The answers to one sentence. Every node that can be reached leads to an end."""

    @property
    def start(self) -> Node:
        """Where answers begin."""

    def steps(self, node: Node) -> Iterable[Step]:
        """What may come next; several steps may begin alike."""

    def ends(self, node: Node) -> bool:
        """May an answer end here?"""

    def way_out(self, node: Node) -> Step:
        """The first step of a short way to an end, for a node that is none."""

    def within(self, writable: Callable[[str], bool]) -> "Grammar":
        """The same without characters that cannot be written; InputError: the format needs one."""

    def forgetful(self) -> "Grammar":
        """A smaller grammar: mentions may repeat too, or leave the order of the text."""


Nodes = frozenset[Node]


class Together(Grammar):
    """The answers of `grammar`; a node is a set of its nodes, and no two steps have one text."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self._steps = cache(lambda node: tuple(grammar.steps(node)))

    @property
    def start(self) -> Node:
        return frozenset([self.grammar.start])

    def everywhere(self) -> Nodes:
        """All nodes of the grammar."""
        found = [self.grammar.start]
        seen = set(found)
        for node in found:  # grows while it is read
            after = {to for _, to in self._steps(node)}
            found += after - seen
            seen |= after
        return frozenset(found)

    def steps(self, node: Node) -> Iterable[Step]:
        """Each text that may come next, and all that it leads to."""
        after: dict[str, set[Node]] = defaultdict(set)
        for each in cast("Nodes", node):
            for text, to in self._steps(each):
                after[text].add(to)
        return [(text, frozenset(nodes)) for text, nodes in after.items()]

    def ends(self, node: Node) -> bool:
        """May an answer end at one of them?"""
        return any(map(self.grammar.ends, cast("Nodes", node)))

    def way_out(self, node: Node) -> Step:
        """That of one of them."""
        text, to = self.grammar.way_out(next(iter(cast("Nodes", node))))
        return text, frozenset([to])

    def within(self, writable: Callable[[str], bool]) -> Grammar:
        return Together(self.grammar.within(writable))

    def forgetful(self) -> Grammar:
        return Together(self.grammar.forgetful())


def check_words(words: Iterable[str], writable: Callable[[str], bool]) -> None:
    """InputError when a character of `words`, which answers need, cannot be written."""
    for character in "".join(words):
        if not writable(character):
            raise InputError(
                f"decoding=constrained: the backbone's tokenizer cannot write {character!r}, which "
                "the answer format needs; use decoding=greedy with this backbone"
            )


def follows(text: str, grammar: Grammar) -> bool:
    """Is the whole of `text` an answer that `grammar` allows?

    From left to right, `reached` holds the nodes at which the text may be before each character.
    """
    reached: dict[int, set[Node]] = defaultdict(set, {0: {grammar.start}})
    steps = cache(lambda node: list(grammar.steps(node)))
    for at in range(len(text)):
        for node in reached.pop(at, ()):
            for piece, after in steps(node):
                if text.startswith(piece, at):
                    reached[at + len(piece)].add(after)
        if not reached:
            return False
    return any(map(grammar.ends, reached[len(text)]))


def sent(grammar: Grammar) -> Grammar:
    """What a server is sent of a grammar: without memory, and without the sentence's control
    characters, since NUL ends a grammar there and the escapes of others differ between servers."""
    return grammar.within(_sendable).forgetful()


def ebnf(grammar: Grammar) -> str:
    """What is `sent` in GBNF, which vLLM (xgrammar), SGLang and llama.cpp read."""
    plain = sent(grammar)
    names: dict[Node, str] = {plain.start: "root"}
    queue = [plain.start]
    rules = []
    for node in queue:  # grows while it is read
        choices = []
        for text, after in plain.steps(node):
            if after not in names:
                names[after] = f"n{len(names)}"
                queue.append(after)
            choices.append(f"{_quoted(text)} {names[after]}")
        if plain.ends(node):
            choices.append('""')
        rules.append(f"{names[node]} ::= {' | '.join(dict.fromkeys(choices))}")
    return "\n".join(rules) + "\n"


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _sendable(character: str) -> bool:
    return character in _ESCAPES or unicodedata.category(character) not in ("Cc", "Cs")


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'
