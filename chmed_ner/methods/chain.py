"""Tags of a sentence as a chain: the best path, and how probable an entity is.

The probability of an entity is the marginal of its tags: what all sequences that hold `B-X I-X ...`
at its characters, and no further `I-X` after them, weigh among all sequences that the chain allows
(forward-backward, Lafferty et al. 2001, scaled, in float64). B sentences, T characters, L
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
        rows, width, many = emissions.shape
        ends, to_from = np.asarray(lengths) - 1, np.ascontiguousarray(self.pairs.T)
        totals, every = np.empty((width, rows, many)), np.empty((rows, many, many))
        totals[0] = self.first + emissions[:, 0]
        for at in range(1, width):
            np.add(totals[at - 1][:, None, :], to_from, out=every)  # (B, L to, L from)
            np.add(every.max(axis=2), emissions[:, at], out=totals[at])
        last = tags = (totals[ends, np.arange(rows)] + self.last).argmax(axis=1)
        paths = np.empty((rows, width), int)
        for at in range(width - 1, -1, -1):
            tags = np.where(ends <= at, last, (totals[at] + to_from[tags]).argmax(axis=1))
            paths[:, at] = tags
        return [path[:length].tolist() for path, length in zip(paths, lengths, strict=True)]

    def messages(self, emissions: Scores, lengths: Sequence[int]) -> tuple[Scores, Scores, Scores]:
        """Forward, backward and weights (T, L, B) for `emissions` (B, T, L), scaled (Rabiner 1989,
        *A Tutorial on Hidden Markov Models*, section V.A): forward * backward is the marginal of
        each tag; forward is step.T @ forward of the character before * weights."""
        rows, width, _ = emissions.shape
        ends, step, last = np.asarray(lengths) - 1, np.exp(self.pairs), np.exp(self.last)
        weights = np.exp(emissions - emissions.max(axis=2, keepdims=True))
        weights = np.ascontiguousarray(weights.transpose(1, 2, 0))
        forward, backward = np.empty_like(weights), np.empty_like(weights)
        scale = np.empty((width, 1, rows))
        before = np.exp(self.first)[:, None]
        for at in range(width):
            np.multiply(before, weights[at], out=forward[at])
            forward[at].sum(axis=0, keepdims=True, out=scale[at])
            forward[at] /= scale[at]
            before = step.T @ forward[at]
        weights /= scale
        final = last[:, None] / (forward[ends, :, np.arange(rows)] @ last)
        backward[-1] = final
        for at in range(width - 2, -1, -1):
            np.matmul(step, weights[at + 1] * backward[at + 1], out=backward[at])
            ending = ends == at
            if ending.any():
                backward[at][:, ending] = final[:, ending]
        return forward, backward, weights

    def confident(
        self, found: Sequence[Sequence[Span]], emissions: Scores, lengths: Sequence[int]
    ) -> list[tuple[Span, ...]]:
        """The entities found in each sentence, with their probabilities as confidence; 0 for one of
        a type, or longer than one, that was not met in training."""
        some = [row for row, spans in enumerate(found) if spans]
        spans = [(span, at) for at, row in enumerate(some) for span in found[row]]
        if not spans:
            return [()] * len(found)
        judged = iter(self._probabilities(spans, emissions[some], [lengths[row] for row in some]))
        return [
            tuple(Span(each.start, each.end, each.type, min(1.0, next(judged))) for each in row)
            for row in found
        ]

    def _probabilities(
        self, spans: Sequence[tuple[Span, int]], emissions: Scores, lengths: Sequence[int]
    ) -> list[float]:
        """The probability of each entity, given with the row of its sentence."""
        forward, backward, weights = self.messages(emissions, lengths)
        step = np.exp(self.pairs)
        shares, tags = np.zeros(len(spans)), np.zeros(len(spans), int)
        for number, (span, row) in enumerate(spans):
            tag, inside = self.number.get(f"B-{span.type}"), self.number.get(f"I-{span.type}")
            if tag is None or (inside is None and span.end - span.start > 1):
                continue
            share = forward[span.start, tag, row]
            for at in range(span.start + 1, span.end):
                assert inside is not None
                share *= step[tag, inside] * weights[at, inside, row]
                tag = inside
            shares[number], tags[number] = share, tag
        rows = np.array([row for _, row in spans])
        ends = np.array([span.end for span, _ in spans])
        over = ends == np.asarray(lengths)[rows]
        after = np.where(over, 0, ends), slice(None), rows
        others = step * [[to != f"I-{tag[2:]}" for to in self.labels] for tag in self.labels]
        left = np.einsum("nl,nl,nl->n", others[tags], weights[after], backward[after])
        found: list[float] = (
            shares * np.where(over, backward[ends - 1, tags, rows], left)
        ).tolist()
        return found


def padded(rows: Sequence[Scores]) -> Scores:
    """The scores (T, L) of each sentence as one array (B, T, L), 0 where a sentence has ended."""
    found = np.zeros((len(rows), max(map(len, rows)), rows[0].shape[1]))
    for at, row in enumerate(rows):
        found[at, : len(row)] = row
    return found
