"""Writers: the authors of answers. Here the free one, and the stop strings that end its answer."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch

LOOK_BACK = 12
"""Tokens decoded to look for a stop string; no stop string is longer than this."""


class Writer(ABC):
    """The author of one answer: says what may come next and when the answer is over.

    `most` is the most tokens that the answer may have; `tokens` are those written so far. `ended`
    is true for an answer that came to its end, false for one that was cut at `most`.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.tokens: list[int] = []
        self.ended = False

    @abstractmethod
    def opening(self) -> list[int]:
        """The tokens that the answer begins with in any case."""

    @abstractmethod
    def options(self) -> torch.Tensor | None:
        """The tokens that may come next, ascending, (U,); None for all of the vocabulary."""

    @abstractmethod
    def take(self, token: int) -> list[int]:
        """Write `token` and what must follow it; returns these tokens, none at the answer's end."""

    @abstractmethod
    def swap(self, token: int) -> torch.Tensor | None:
        """None if `token` leaves enough tokens to finish the answer; else tokens that do, (U,)."""


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """`text` up to the first of its stop strings, and whether there is one."""
    cuts = [text.index(each) for each in stop if each in text]
    return (text[: min(cuts)], True) if cuts else (text, False)


class StopStrings:
    """Looks for stop strings at the end of answers, decoding only where one can have ended."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.stop = tuple(stop)
        self._last = {text[-1] for text in self.stop}
        self._can_end: dict[int, bool] = {}

    def end(self, answer: Sequence[int]) -> bool:
        """Does a stop string end `answer`?

        A stop string ends in a token that holds its last character, or a part of its bytes.
        """
        token = answer[-1]
        can_end = self._can_end.get(token)
        if can_end is None:
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
        """Nothing is certain beforehand."""
        return []

    def options(self) -> None:
        """All of the vocabulary."""
        return

    def swap(self, token: int) -> None:  # noqa: ARG002
        """Nothing is ever swapped: at the cap, the answer is cut."""
        return

    def take(self, token: int) -> list[int]:
        """Write `token`."""
        if token in self.ends:
            self.ended = True
            return []
        self.tokens.append(token)
        self.ended = self.stop.end(self.tokens)
        return [token] if not self.ended and len(self.tokens) < self.most else []
