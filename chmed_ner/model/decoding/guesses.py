"""Guesses of how answers go on, read along with the tokens that are certain.

A pass over a dozen tokens takes hardly longer than one over a single token: most of its time goes
into reading the weights. So where there is little to read:

1. Learn, from prompts and answers, which token came last after each pair of tokens.
2. Guess: from an answer's last two tokens on, take what came after them, token by token.
3. Read the guesses in the same pass. The state after a guess counts only if the answer takes it.

The answer is the same without guesses, but for roundings. (Speculative decoding, Leviathan et al.
2023; guesses from the prompt's text: prompt lookup, Saxena 2023.)
"""

from collections.abc import Sequence

FREE = 16
"""Up to this many tokens, a pass takes about as long as one over a single token (on two cores; more
cores and GPUs compute more while they read)."""

MOST_GUESSES = 4
"""Guesses for an answer in one pass, at most: those further on are hardly ever right."""


class Guesses:
    """What came last after each pair of tokens, or each token, in prompts and answers."""

    def __init__(self) -> None:
        self._followed: dict[tuple[int, ...], int] = {}

    def learn(self, latest: Sequence[int], tokens: Sequence[int]) -> list[int]:
        """1. `tokens` came after the `latest` two; returns the two that are the latest now."""
        pair = list(latest)
        for token in tokens:
            for before in (pair, pair[1:]):
                if before:
                    self._followed[tuple(before)] = token
            pair = [*pair[-1:], token]
        return pair

    def after(self, latest: Sequence[int], most: int) -> list[int]:
        """2. Up to `most` tokens that may come after the `latest` two."""
        pair = tuple(latest)
        guessed: list[int] = []
        while len(guessed) < most:
            token = self._followed.get(pair, self._followed.get(pair[1:]))
            if token is None:
                break
            guessed.append(token)
            pair = (*pair[-1:], token)
        return guessed
