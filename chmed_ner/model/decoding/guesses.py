"""Guesses of how answers go on, read along with the tokens that are settled.

A pass over a dozen tokens takes hardly longer than one over a single token: most of its time goes
into reading the weights. Where there is little to read, guesses fill it up, and the states behind
them count as far as the answer goes the guessed way. It is the same answer without guesses, but
for roundings. (Speculative decoding, Leviathan et al. 2023; guesses from the prompt's text: prompt
lookup, Saxena 2023. An answer here copies its sentence, and often goes on as an earlier one did.)
"""

from collections.abc import Sequence

FREE = 16
"""Up to this many tokens, a pass takes about as long as one over a single token (on two cores; more
cores and GPUs compute more while they read)."""

MOST_GUESSES = 4
"""Guesses for an answer in one pass, at most: those further on hardly ever come true."""


class Guesses:
    """What has come last behind each pair of tokens, or each token, in prompts and answers."""

    def __init__(self) -> None:
        self._behind: dict[tuple[int, ...], int] = {}

    def learn(self, latest: Sequence[int], tokens: Sequence[int]) -> list[int]:
        """`tokens` have come behind the `latest` two; returns the two that are the latest now."""
        pair = list(latest)
        for token in tokens:
            for before in (pair, pair[1:]):
                if before:
                    self._behind[tuple(before)] = token
            pair = [*pair[-1:], token]
        return pair

    def behind(self, latest: Sequence[int], most: int) -> list[int]:
        """Up to `most` tokens that may come behind the `latest` two."""
        pair = tuple(latest)
        guessed: list[int] = []
        while len(guessed) < most:
            token = self._behind.get(pair, self._behind.get(pair[1:]))
            if token is None:
                break
            guessed.append(token)
            pair = (*pair[-1:], token)
        return guessed
