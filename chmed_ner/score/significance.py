"""Two systems on the same sentences: the difference, its interval, and whether it may be chance.

The difference is always second minus first. Its interval comes from the paired bootstrap, its
p-value from approximate randomisation (Noreen 1989; Yeh 2000 for F1), which needs no assumption on
how F1 is distributed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chmed_ner.errors import InputError
from chmed_ner.score.intervals import (
    CELLS,
    Counts,
    F1s,
    check_draws,
    f1_of,
    generator_for,
    mean_over_genres,
    percentile_interval,
    resampled_f1,
)

RESAMPLES = 1_000
ROUNDS = 10_000
SEED = 13

_EQUAL = 1e-9
"""Percent; shuffled differences this close to the observed one are as large as it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95% interval, in percent."""

    f1: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems' F1, second minus first, and the two-sided p-value of that difference."""

    sentences: int
    first: Estimate
    second: Estimate
    difference: Estimate
    p_value: float


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The macro F1 over genres and each genre's own, with how they were drawn."""

    macro: Comparison
    genres: Mapping[str, Comparison]
    resamples: int
    rounds: int
    seed: int


def compare_counts(
    first: Mapping[str, Counts],
    second: Mapping[str, Counts],
    *,
    resamples: int = RESAMPLES,
    rounds: int = ROUNDS,
    seed: int = SEED,
) -> Comparisons:
    """Compare two systems by their counts of each sentence, by genre, sentences in one order.

    In each of the `rounds` every sentence's two answers change places by the toss of a coin; the
    p-value is (rounds whose absolute difference of F1 is at least the observed one + 1) /
    (rounds + 1). `resamples` are those of `bootstrap_f1`. InputError for genres, sentences or gold
    counts that differ, for no genre, and less than one draw.
    """
    check_draws("resamples", resamples)
    check_draws("rounds", rounds)
    _check_same(first, second)
    sides = (first, second)
    observed = [{g: f1_of(side[g].sum(axis=0, keepdims=True)) for g in first} for side in sides]
    drawn = [{g: resampled_f1(g, side[g], resamples, seed) for g in first} for side in sides]
    shuffled = {g: _shuffled(g, first[g], second[g], rounds, seed) for g in first}

    def comparison(names: list[str]) -> Comparison:
        one, two = (mean_over_genres({g: side[g] for g in names}) for side in observed)
        ones, twos = (mean_over_genres({g: side[g] for g in names}) for side in drawn)
        chance = mean_over_genres({g: shuffled[g] for g in names})
        hits = int(np.count_nonzero(np.abs(chance) >= abs(float((two - one)[0])) - _EQUAL))
        return Comparison(
            sentences=sum(len(first[genre]) for genre in names),
            first=_estimate(one, ones),
            second=_estimate(two, twos),
            difference=_estimate(two - one, twos - ones),
            p_value=(hits + 1) / (rounds + 1),
        )

    genres = {genre: comparison([genre]) for genre in first}
    return Comparisons(comparison(list(first)), genres, resamples, rounds, seed)


def _estimate(observed: F1s, resampled: F1s) -> Estimate:
    interval = percentile_interval(resampled)
    return Estimate(float(observed[0]), interval.low, interval.high)


def _shuffled(genre: str, first: Counts, second: Counts, rounds: int, seed: int) -> F1s:
    """The difference of F1 in each round; sentences with equal counts on both sides are not drawn,
    exchanging them moves nothing.
    """
    generator = generator_for("randomisation", genre, seed)
    change = second - first
    moved = change[(change != 0).any(axis=1)].astype(np.float64)
    shift = np.zeros((rounds, first.shape[1]))
    step = max(1, CELLS // max(1, len(moved)))
    for start in range(0, rounds, step):
        size = min(step, rounds - start)
        swaps = generator.random((size, len(moved))) < 0.5
        shift[start : start + size] = swaps.astype(np.float64) @ moved
    difference: NDArray[np.float64] = f1_of(second.sum(axis=0) - shift) - f1_of(
        first.sum(axis=0) + shift
    )
    return difference


def _check_same(first: Mapping[str, Counts], second: Mapping[str, Counts]) -> None:
    if not first or first.keys() != second.keys():
        raise InputError(
            f"genres {', '.join(first) or 'none'} and {', '.join(second) or 'none'}: both systems "
            "need the same genres, at least one"
        )
    for genre, counts in first.items():
        if len(counts) != len(second[genre]):
            raise InputError(
                f"genre {genre}: {len(counts)} and {len(second[genre])} sentences; both systems "
                "need the same ones"
            )
        for row in np.flatnonzero(counts[:, 0] != second[genre][:, 0])[:1]:
            raise InputError(
                f"genre {genre}, sentence {row + 1}: {counts[row, 0]} and {second[genre][row, 0]} "
                "gold entities; both systems need the same gold"
            )
