"""Guesses of how answers go on, read along with the tokens that are settled.

A pass over a dozen tokens takes hardly longer than one over a single token: most of its time goes
into reading the weights. Where there is little to read, guesses fill it up, and the states behind
them count as far as the answer goes the guessed way. Answers are what they are without guesses.
(Speculative decoding, Leviathan et al. 2023; guesses from the prompt's text: prompt lookup, Saxena
2023. An answer here copies its sentence, and often goes on as an earlier one did.)
"""

from collections.abc import Sequence

MOST = 4
"""Guesses for an answer in one pass, at most: of longer ones, hardly any come true."""

_FREE = {"cpu": 16}
_FREE_ELSEWHERE = 64


def free_tokens(device: str) -> int:
    """Up to how many tokens a pass takes about as long as one over a single token.

    Measured on a CPU; for GPUs, which compute 100 to 300 operations while they read two bytes, a
    cautious count.
    """
    return _FREE.get(device, _FREE_ELSEWHERE)


class Guesses:
    """What has come last behind each pair of tokens, or each token, in prompts and answers."""

    def __init__(self) -> None:
        self._behind: dict[tuple[int, ...], int] = {}

    def learn(self, latest: Sequence[int], tokens: Sequence[int]) -> list[int]:
        """`tokens` have come behind the `latest` two; returns the two that are the latest now."""
        pair = list(latest)
        for token in tokens:
            self._behind[tuple(pair)] = self._behind[tuple(pair[1:])] = token
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
