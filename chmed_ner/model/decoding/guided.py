"""Answers that follow a grammar, written within their cap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from chmed_ner.model.decoding.automaton import State, TokenAutomaton
from chmed_ner.model.decoding.writing import Writer


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
        """What the grammar leaves no choice about at the beginning."""
        return self._write_forced()

    def options(self) -> torch.Tensor:
        """The tokens that the grammar allows next, ascending, (U,)."""
        return self.state.options

    def swap(self, token: int) -> torch.Tensor | None:
        """None if `token` leaves enough tokens to finish the answer; else tokens that do, (U,)."""
        return None if self._fits(token) else self.allowed()

    def allowed(self) -> torch.Tensor:
        """The options that leave enough tokens to finish the answer within the cap, (U,).

        Where the cap is too small for that, those after which the end is nearest.
        """
        options: list[int] = self.state.options.tolist()
        fit = [self._fits(token) for token in options]
        if not any(fit):
            needs = [self.state.after(token).need for token in options]
            nearest = min(needs)
            fit = [need == nearest for need in needs]
        return self.state.options[torch.tensor(fit)]

    def step(self, token: int) -> None:
        """Write one token."""
        if token in self.automaton.end_tokens and token not in self.state.successors:
            self.ended = True
            return
        self.state = self.state.after(token)
        self.tokens.append(token)
        self.ended = self.state.stopped > 0

    def take(self, token: int) -> list[int]:
        """Write `token` and what must follow it; returns these, none when the answer is over."""
        self.step(token)
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
        """Are enough tokens left after `token`?"""
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
    """The slow way: masks the scores of all the vocabulary in `generate`, row by row.

    One call a step with the rows so far, (B, T), and their scores, (B, V). Rows without a writer
    are left alone; one whose answer is over may only write `end`.
    """

    writers: Sequence[GuidedWriter | None]
    width: int
    end: int

    def __deepcopy__(self, memo: Any) -> "GrammarMask":
        """Itself: `generate` copies what it is given."""
        return self

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores with -inf for what a row's grammar forbids."""
        masked = scores.clone()
        for row, writer in enumerate(self.writers):
            if writer is None:
                continue
            if input_ids.shape[1] > self.width and not writer.over:
                writer.step(int(input_ids[row, -1]))
            legal = torch.tensor([self.end]) if writer.over else writer.allowed()
            masked[row] = -torch.inf
            masked[row, legal] = scores[row, legal]
        return masked


def read_back(automaton: TokenAutomaton, most: int, tokens: Sequence[int]) -> GuidedWriter:
    """The writer that has written `tokens`, as far as they belong to its answer."""
    writer = GuidedWriter(automaton, most)
    for token in tokens:
        if writer.over:
            break
        writer.step(token)
    return writer
