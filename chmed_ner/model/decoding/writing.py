"""Writers, each the author of one answer: a free one, and one that follows a grammar."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from chmed_ner.model.asking import cut_at_stop
from chmed_ner.model.decoding.automaton import State, TokenAutomaton
from chmed_ner.model.kernels.head import log_probabilities

LOOK_BACK = 12
"""Tokens decoded to look for a stop string; no stop string is longer than this."""


class Writer(ABC):
    """Says what may come next in one answer of at most `most` tokens, and when it is over.

    `ended` is false for an answer that was cut at `most`; `tokens` are without the end token that
    has `closed` the answer. `chances` are their log-probabilities among what was allowed in their
    place, 0 for a token that had to come.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.tokens: list[int] = []
        self.chances: list[float] = []
        self.ended = False
        self.closed = False

    @property
    def count(self) -> int:
        """How many tokens were written, the end token included, as servers count."""
        return len(self.tokens) + self.closed

    @abstractmethod
    def opening(self) -> list[int]:
        """The tokens that the answer begins with in any case."""

    @abstractmethod
    def options(self) -> torch.Tensor | None:
        """The tokens that may come next, ascending, (U,); None for all of the vocabulary."""

    @abstractmethod
    def take(self, token: int, chance: float = 0.0) -> list[int]:
        """Write `token` and what must follow it; returns these tokens, none at the answer's end."""

    @abstractmethod
    def swap(self, token: int) -> torch.Tensor | None:
        """None if `token` leaves enough tokens to finish the answer; else tokens that do, (U,)."""


class StopStrings:
    """Looks for stop strings at the end of answers; decodes only where one can have ended."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.stop = tuple(stop)
        self._last = {text[-1] for text in self.stop}
        self._can_end: dict[int, bool] = {}

    def end(self, answer: Sequence[int]) -> bool:
        """Does a stop string end `answer`?"""
        token = answer[-1]
        can_end = self._can_end.get(token)
        if can_end is None:  # does it hold a stop string's last character, or a part of its bytes?
            text = self.tokenizer.decode([token, token])  # a leading space is lost in the first
            can_end = bool(self._last & set(text)) or "\ufffd" in text
            self._can_end[token] = can_end
        return can_end and cut_at_stop(self.tokenizer.decode(answer[-LOOK_BACK:]), self.stop)[1]


class FreeWriter(Writer):
    """Writes the likeliest token, until an end token (not kept), a stop string or the cap."""

    def __init__(self, most: int, ends: set[int], stop: StopStrings) -> None:
        super().__init__(most)
        self.ends = ends
        self.stop = stop

    def opening(self) -> list[int]:
        return []

    def options(self) -> None:
        return

    def swap(self, token: int) -> None:
        return

    def take(self, token: int, chance: float = 0.0) -> list[int]:
        if token in self.ends:
            self.ended = self.closed = True
            return []
        self.tokens.append(token)
        self.chances.append(chance)
        self.ended = self.stop.end(self.tokens)
        return [token] if not self.ended and len(self.tokens) < self.most else []


class GuidedWriter(Writer):
    """Writes only what its automaton allows, and only while enough tokens are left to end.

    `ended` is False only where the cap `most` is too small for any answer.
    """

    def __init__(self, automaton: TokenAutomaton, most: int) -> None:
        super().__init__(most)
        self.automaton = automaton
        self.state: State = automaton.start

    @property
    def over(self) -> bool:
        """Has the answer come to its end, or to its cap?"""
        return self.ended or len(self.tokens) >= self.most

    def opening(self) -> list[int]:
        return self._write_forced()

    def options(self) -> torch.Tensor:
        return self.state.options

    def swap(self, token: int) -> torch.Tensor | None:
        return None if self._fits(token) else self.allowed()

    def allowed(self) -> torch.Tensor:
        """The options that leave enough tokens to finish, (U,); if none, the nearest to an end."""
        options: list[int] = self.state.options.tolist()
        fit = [self._fits(token) for token in options]
        if not any(fit):
            needs = [self.state.after(token).need for token in options]
            nearest = min(needs)
            fit = [need == nearest for need in needs]
        return self.state.options[torch.tensor(fit)]

    def step(self, token: int, chance: float = 0.0) -> None:
        """Write one token of the log-probability `chance`."""
        if token in self.automaton.end_tokens and token not in self.state.successors:
            self.ended = self.closed = True
            return
        self.state = self.state.after(token)
        self.tokens.append(token)
        self.chances.append(chance)
        self.ended = self.state.stopped > 0

    def take(self, token: int, chance: float = 0.0) -> list[int]:
        self.step(token, chance)
        written = [] if self.ended else [token, *self._write_forced()]
        return [] if self.over else written

    def text(self) -> str:
        """The answer, without the stop string that ended it."""
        vocabulary = self.automaton.vocabulary
        data = b"".join(vocabulary.bytes_of[token] for token in self.tokens)
        text = data.decode("utf-8", "ignore")
        if vocabulary.strips_space:
            text = text.removeprefix(" ")
        return text[: len(text) - self.state.stopped]

    def _fits(self, token: int) -> bool:
        if token not in self.state.successors:
            return True
        after = self.state.after(token)
        return after.stopped > 0 or after.need < self.most - len(self.tokens)

    def _write_forced(self) -> list[int]:
        """Write what must come; a forced token is written only if it also fits."""
        written = []
        while not self.ended and (token := self.state.forced) is not None and self._fits(token):
            self.step(token)
            written.append(token)
        return written


@dataclass(eq=False)
class GrammarMask:
    """Masks, in `generate`, what a row's writer may not write; after the answer, all but `end`.

    `chances` are the log-probabilities of what is chosen then, a tensor (B,) a step.
    """

    writers: Sequence[GuidedWriter | None]
    width: int
    end: int
    chances: list[torch.Tensor] = field(default_factory=list)

    def __deepcopy__(self, memo: Any) -> "GrammarMask":
        """Itself: `generate` copies what it gets."""
        return self

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores, (B, V), after the rows, (B, T), with -inf for what a grammar forbids."""
        masked = scores.clone() if any(self.writers) else scores
        for row, writer in enumerate(self.writers):
            if writer is None:
                continue
            if input_ids.shape[1] > self.width and not writer.over:
                writer.step(int(input_ids[row, -1]))
            legal = torch.tensor([self.end]) if writer.over else writer.options()
            if not writer.over:
                others = writer.swap(int(legal[int(scores[row, legal].argmax())]))
                legal = legal if others is None else others
            masked[row] = -torch.inf
            masked[row, legal] = scores[row, legal]
        self.chances.append(log_probabilities(masked, masked.argmax(-1)))
        return masked


def read_back(
    automaton: TokenAutomaton, most: int, tokens: Sequence[int], chances: Sequence[float]
) -> GuidedWriter:
    """The writer that has written `tokens`, as far as they belong to its answer."""
    writer = GuidedWriter(automaton, most)
    for token, chance in zip(tokens, chances, strict=True):
        if writer.over:
            break
        writer.step(token, chance)
    return writer
