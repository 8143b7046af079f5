"""What answers cost: prices, an estimate beforehand, a budget that is never exceeded."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from chmed_ner.entities.types import Completion

FRAMING = 32
"""Tokens that a chat template may put around a prompt."""


@dataclass(frozen=True)
class Prices:
    """US dollars per million tokens, as the provider's price list gives them."""

    prompt: float
    completion: float

    def usd(self, prompt_tokens: float, completion_tokens: float) -> float:
        """The price of so many tokens."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6

    def paid(self, completions: Iterable[Completion]) -> float:
        """What a run paid for its completions: those from the cache (0 seconds) cost nothing."""
        return math.fsum(
            self.usd(each.prompt_tokens, each.completion_tokens)
            for each in completions
            if each.seconds > 0
        )


FREE = Prices(0.0, 0.0)


def most_tokens(text: str) -> int:
    """No byte-level tokenizer makes more tokens of `text` than this, a chat template included."""
    return len(text.encode("utf-8", "replace")) + FRAMING


def likely_tokens(text: str) -> int:
    """About as many tokens as common tokenizers make: 1.2 a Chinese character, 0.3 another."""
    chinese = sum(character >= "⺀" for character in text)
    return round(1.2 * chinese + 0.3 * (len(text) - chinese)) + 8


@dataclass(frozen=True)
class Estimate:
    """What `requests` questions will take, before the first is asked."""

    requests: int
    prompt_tokens: int
    most_completion_tokens: int
    prices: Prices | None

    def __str__(self) -> str:
        """In a line; the lower price is for empty answers, the upper for all at their cap."""
        line = (
            f"{self.requests} requests, about {self.prompt_tokens:,} prompt tokens, at most "
            f"{self.most_completion_tokens:,} completion tokens"
        )
        if self.prices is None:
            return f"{line}; no price is given (backbone.prompt_price, backbone.completion_price)"
        low = self.prices.usd(self.prompt_tokens, 0)
        high = self.prices.usd(self.prompt_tokens, self.most_completion_tokens)
        return f"{line}: about {low:.4f} to {high:.4f} USD"


class Budget:
    """US dollars spent and promised, against a limit (None: no limit).

    A question is asked only if the limit would hold even if it, and all that are under way, cost
    their most.
    """

    def __init__(self, limit: float | None, spent: float) -> None:
        self.limit = limit
        self.spent = spent
        self._promised: list[float] = []

    def allows(self, most: float) -> bool:
        """Is there room for a question that costs at most `most`?"""
        if self.limit is None:
            return True
        return math.fsum([self.spent, most, *self._promised]) <= self.limit

    def promise(self, most: float) -> None:
        """Set `most` aside."""
        self._promised.append(most)

    def settle(self, most: float, cost: float) -> None:
        """A question for which `most` was set aside has cost `cost`."""
        self._promised.remove(most)
        self.spent += cost
