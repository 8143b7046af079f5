"""Tags of a sentence as a chain: the best path, and how probable an entity is.

The probability of an entity is the marginal of its tags: what all sequences that hold `B-X I-X ...`
at its characters, and no further `I-X` after them, weigh among all sequences that the chain allows
(forward-backward, Lafferty et al. 2001, in log space and float64). B sentences, T characters, L
tags; what is computed on padding is never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chmed_ner.entities import OUTSIDE, Span, may_follow

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Chain:
    """Log scores of the first tag (L), of tag after tag (L, L: from, to), of the last (L)."""

    labels: Sequence[str]
    first: Scores
    pairs: Scores
    last: Scores

    @cached_property
    def number(self) -> dict[str, int]:
        """The number of each tag."""
        return {tag: at for at, tag in enumerate(self.labels)}

    def legal(self) -> "Chain":
        """The chain without the sequences that are not BIO."""
        first = [0.0 if may_follow(OUTSIDE, tag) else -np.inf for tag in self.labels]
        pairs = [
            [0.0 if may_follow(p, tag) else -np.inf for tag in self.labels] for p in self.labels
        ]
        return replace(self, first=self.first + first, pairs=self.pairs + pairs)

    def best(self, emissions: Scores, lengths: Sequence[int]) -> list[list[int]]:
        """The tags with the highest score (Viterbi) for `emissions` (B, T, L)."""
        totals, sources = [self.first + emissions[:, 0]], []
        to_from = np.ascontiguousarray(self.pairs.T)
        for at in range(1, emissions.shape[1]):
            every = totals[-1][:, None, :] + to_from  # (B, L to, L from)
            sources.append(every.argmax(axis=2))
            totals.append(every.max(axis=2) + emissions[:, at])
        paths = []
        for row, length in enumerate(lengths):
            path = [int((totals[length - 1][row] + self.last).argmax())]
            for source in reversed(sources[: length - 1]):
                path.append(int(source[row, path[-1]]))
            paths.append(path[::-1])
        return paths

    def messages(self, emissions: Scores, lengths: Sequence[int]) -> tuple[Scores, Scores, Scores]:
        """For `emissions` (B, T, L): log scores of all that leads to each tag, it included
        (B, T, L), of all that follows it (B, T, L), and of everything (B)."""
        rows, width, _ = emissions.shape
        ends = np.asarray(lengths) - 1
        forward, backward = np.empty_like(emissions), np.empty_like(emissions)
        step = np.exp(self.pairs)
        forward[:, 0] = self.first + emissions[:, 0]
        for at in range(1, width):
            forward[:, at] = _log_product(forward[:, at - 1], step) + emissions[:, at]
        backward[:, -1] = self.last
        for at in range(width - 2, -1, -1):
            found = _log_product(backward[:, at + 1] + emissions[:, at + 1], step.T)
            backward[:, at] = np.where((ends == at)[:, None], self.last, found)
        total = np.logaddexp.reduce(forward[np.arange(rows), ends] + self.last, axis=1)
        return forward, backward, total

    def confident(
        self, found: Sequence[Sequence[Span]], emissions: Scores, lengths: Sequence[int]
    ) -> list[tuple[Span, ...]]:
        """The entities found in each sentence, with their probabilities as confidence."""
        some = [row for row, spans in enumerate(found) if spans]
        result: list[tuple[Span, ...]] = [() for _ in found]
        if not some:
            return result
        emissions, lengths = emissions[some], [lengths[row] for row in some]
        forward, backward, total = self.messages(emissions, lengths)
        for at, row in enumerate(some):
            sentence = slice(0, lengths[at])
            tables = (emissions[at, sentence], forward[at, sentence], backward[at, sentence])
            result[row] = tuple(
                replace(span, confidence=float(min(1.0, np.exp(self._score(span, *tables) - mass))))
                for mass in (total[at],)
                for span in found[row]
            )
        return result

    def _score(self, span: Span, emissions: Scores, forward: Scores, backward: Scores) -> float:
        """The log score of all sequences that hold the entity, of one sentence's (T, L); -inf for
        one of a type, or longer than one, that was not met in training."""
        tag, inside = self.number.get(f"B-{span.type}"), self.number.get(f"I-{span.type}")
        if tag is None or (inside is None and span.end - span.start > 1):
            return -np.inf
        score = forward[span.start, tag]
        for at in range(span.start + 1, span.end):
            assert inside is not None
            score += self.pairs[tag, inside] + emissions[at, inside]
            tag = inside
        if span.end == len(emissions):
            return float(score + self.last[tag])
        after = self.pairs[tag] + emissions[span.end] + backward[span.end]
        others = np.arange(len(self.labels)) != inside
        return float(score + np.logaddexp.reduce(after[others]))


def padded(rows: Sequence[Scores]) -> Scores:
    """The scores (T, L) of each sentence as one array (B, T, L), 0 where a sentence has ended."""
    found = np.zeros((len(rows), max(map(len, rows)), rows[0].shape[1]))
    for at, row in enumerate(rows):
        found[at, : len(row)] = row
    return found


def _log_product(scores: Scores, step: Scores) -> Scores:
    """log(exp(scores) @ step), the largest exponent taken out: (B, L) by (L, L)."""
    most = scores.max(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):  # what nothing leads to has the log score -inf
        found: Scores = np.log(np.exp(scores - most) @ step) + most
    return found
