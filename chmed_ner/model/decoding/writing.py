"""Free answers: the likeliest token of all, until an end token, a stop string or the cap."""

from collections.abc import Sequence
from typing import Any

LOOK_BACK = 12
"""Tokens decoded to look for a stop string; no stop string is longer than this."""


class StopStrings:
    """Looks for stop strings at the end of answers, decoding only where one can have ended."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.stop = tuple(stop)
        self._last = {text[-1] for text in self.stop}
        self._can_end: dict[int, bool] = {}

    def ends(self, answer: Sequence[int]) -> bool:
        """Does the tail of `answer` hold a stop string?

        A stop string ends in a token that holds its last character, or a part of its bytes.
        """
        token = answer[-1]
        can_end = self._can_end.get(token)
        if can_end is None:
            text = self.tokenizer.decode([token, token])  # a leading space is lost in the first
            can_end = bool(self._last & set(text)) or "\ufffd" in text
            self._can_end[token] = can_end
        if not can_end:
            return False
        tail = self.tokenizer.decode(answer[-LOOK_BACK:])
        return any(stop in tail for stop in self.stop)


class FreeWriter:
    """Writes whatever the model likes best.

    `ended` tells an answer that came to its end (at an end token, which is not kept, or a stop
    string) from one that was cut at `most` tokens.
    """

    def __init__(self, most: int, ends: set[int], stop: StopStrings) -> None:
        self.most = most
        self.ends = ends
        self.stop = stop
        self.tokens: list[int] = []
        self.ended = False

    def opening(self) -> list[int]:
        """Nothing is settled beforehand."""
        return []

    def options(self) -> None:
        """The whole vocabulary."""
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
        if self.stop.ends(self.tokens):
            self.ended = True
            return []
        return [token] if len(self.tokens) < self.most else []
