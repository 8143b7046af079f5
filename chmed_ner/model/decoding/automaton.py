"""A grammar walked in tokens: which tokens may come next, and where they lead.

A state is the set of places in the grammar that the text so far may have reached (a grammar may be
ambiguous), and the first bytes of a character whose last bytes are still to come. All tokenisations
of a legal answer are legal. A state is explored once, along the few characters that may follow;
nothing is done for each token of the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from weakref import proxy

import torch

from chmed_ner.entities import Grammar, Node
from chmed_ner.model.decoding.vocabulary import Vocabulary

FORCED = 64
"""Bytes, at most, for which a text without choice is followed at once."""


@dataclass(frozen=True)
class Stopped:
    """The node after a stop string of `length` characters."""

    length: int


Place = tuple[str, Node]
"""Text that is still to be written, and the node that it leads to."""
Places = frozenset[Place]
Key = tuple[Places, bytes]


@dataclass(eq=False)
class State:
    """A state of the automaton, which it holds weakly, so that all are freed at once."""

    automaton: "TokenAutomaton" = field(repr=False)
    places: Places
    pending: bytes
    leading: bool = False

    @cached_property
    def successors(self) -> dict[int, Key]:
        """Every token that may come next, and the state after it."""
        return self.automaton.explore(self)

    @cached_property
    def stopped(self) -> int:
        """The length of the stop string that the text ends with, 0 for none."""
        ends = [node.length for text, node in self.places if not text and type(node) is Stopped]
        return 0 if self.pending else max(ends, default=0)

    @cached_property
    def ends(self) -> bool:
        """May the answer end here?"""
        return not self.pending and any(map(self.automaton.is_end, self.places))

    @cached_property
    def need(self) -> int:
        """Tokens that certainly suffice to end the answer from here, its end token included."""
        least = self.automaton.least
        if not self.pending:
            return least(self.places)
        return min(
            len(character.encode()) - len(self.pending) + least(after)
            for character, after in self.automaton.moves(self.places).items()
            if character.encode().startswith(self.pending)
        )

    @cached_property
    def options(self) -> torch.Tensor:
        """The tokens that may come next, end tokens included, ascending, (U,); `forced` alone."""
        if self.forced is not None:
            return torch.tensor([self.forced])
        ends = self.automaton.end_tokens if self.ends else []
        return torch.tensor(sorted({*self.successors, *ends}), dtype=torch.long)

    @cached_property
    def forced(self) -> int | None:
        """The longest token of a text that must come, if no token reaches beyond that text."""
        if self.ends or self.leading:
            return None
        automaton, text, places, pending = self.automaton, b"", self.places, self.pending
        while len(text) < FORCED and not any(map(automaton.is_end, places)):
            moves = automaton.moves(places)
            if len(moves) != 1:
                break
            ((character, places),) = moves.items()
            text += character.encode("utf-8")[len(pending) :]
            pending = b""
        words = automaton.vocabulary.bytes_of
        longest = max((len(words[token]) for token in self.successors), default=0)
        if not text or longest > len(text):
            return None
        longest_tokens = [token for token in self.successors if len(words[token]) == longest]
        return automaton.vocabulary.ordinary(longest_tokens)

    def after(self, token: int) -> "State":
        """The state after `token`, which must be among the successors."""
        return self.automaton.state(self.successors[token])


class TokenAutomaton:
    """The automaton of one sentence's answers."""

    def __init__(
        self,
        grammar: Grammar,
        vocabulary: Vocabulary,
        *,
        stop: Sequence[str],
        end_tokens: Sequence[int],
    ) -> None:
        self.grammar = grammar.within(vocabulary.writable)
        self.vocabulary = vocabulary
        self.stop = tuple(stop)
        self.end_tokens = list(end_tokens)
        self._states: dict[Key, State] = {}
        self._moves: dict[Places, dict[str, Places]] = {}
        self._ways: dict[Node, int] = {}
        self._ahead: dict[Node, list[Place]] = {}
        places = frozenset([("", self.grammar.start)])
        self.start = State(proxy(self), places, b"", leading=vocabulary.strips_space)

    def state(self, key: Key) -> State:
        """The one state of a key."""
        found = self._states.get(key)
        if found is None:
            found = self._states[key] = State(proxy(self), *key)
        return found

    def is_end(self, place: Place) -> bool:
        """May an answer end at this place?"""
        text, node = place
        return not text and (type(node) is Stopped or self.grammar.ends(node))

    def explore(self, state: State) -> dict[int, Key]:
        """See `State.successors`."""
        found: dict[int, Key] = {}
        vocabulary = self.vocabulary
        todo = [(state.places, state.pending, b"")]
        while todo:
            places, pending, word = todo.pop()
            moves = self.moves(places)
            if state.leading and not word:
                moves = {**moves, " ": places}  # decoding drops this space
            # unless tokens are broken, only single bytes end within a character
            cut = not word or vocabulary.breaks
            for character, after in moves.items():
                rest = character.encode()
                if pending:
                    if not rest.startswith(pending):
                        continue
                    rest = rest[len(pending) :]
                for at in range(1, len(rest)) if cut else ():
                    tokens = vocabulary.tokens(word + rest[:at])
                    if tokens and vocabulary.in_bytes(rest[at:]):
                        found.update(dict.fromkeys(tokens, (places, pending + rest[:at])))
                longer = word + rest
                found.update(dict.fromkeys(vocabulary.tokens(longer), (after, b"")))
                if vocabulary.goes_on(longer):
                    todo.append((after, b"", longer))
        return found

    def moves(self, places: Places) -> dict[str, Places]:
        """The characters that may come next, and the places after each."""
        found = self._moves.get(places)
        if found is None:
            grouped: dict[str, list[Place]] = {}
            for text, node in places:
                for step, after in [(text, node)] if text else self.steps(node):
                    grouped.setdefault(step[0], []).append((step[1:], after))
            found = {character: frozenset(after) for character, after in grouped.items()}
            self._moves[places] = found
        return found

    def steps(self, node: Node) -> list[Place]:
        """The grammar's steps from a node and where they lead; at an end the stop strings too."""
        found = self._ahead.get(node)
        if found is None:
            found = self._ahead[node] = []
            if type(node) is not Stopped:
                ahead = self.grammar.steps(node)
                found += [(self.vocabulary.written(text), after) for text, after in ahead]
                stops = self.stop if self.grammar.ends(node) else ()
                found += [(text, Stopped(len(text))) for text in stops]
        return found

    def least(self, places: Places) -> int:
        """Tokens to an end by the shortest known way, the end token included."""
        return min(self.vocabulary.count(text) + self._way(node) for text, node in places)

    def _way(self, node: Node) -> int:
        """Tokens from a node to an end, the end token included."""
        steps = []
        while node not in self._ways and not (type(node) is Stopped or self.grammar.ends(node)):
            text, after = self.grammar.way_out(node)
            steps.append((node, self.vocabulary.written(text)))
            node = after
        least = self._ways.get(node, 1)
        for node, text in reversed(steps):
            least = self._ways[node] = least + self.vocabulary.count(text)
        return least
