"""Intervals of F1 from the bootstrap, and whether the difference of two systems may be chance.

A difference is always second minus first. Its interval comes from the paired bootstrap, its
p-value from approximate randomisation (Noreen 1989; Yeh 2000 for F1), which needs no assumption on
how F1 is distributed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chmed_ner.errors import InputError
from chmed_ner.score.spans import SpanPair

Counts = NDArray[np.int64]
"""One row a sentence: gold, predicted and correct entities."""

F1s = NDArray[np.float64]
"""One F1 in percent for each resample."""

RESAMPLES = 1_000
ROUNDS = 10_000
SEED = 13

_EQUAL = 1e-9
"""Percent; shuffled differences this close to the observed one are as large as it."""

CELLS = 1 << 20
"""How many draws are held at a time, whatever the number of sentences and of resamples."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The bounds of an interval, in percent."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class F1Intervals:
    """The interval of the macro F1 over genres, and of each genre's own F1."""

    macro: Interval
    genres: Mapping[str, Interval]


def sentence_counts(pairs: Iterable[SpanPair]) -> Counts:
    """Gold, predicted and correct entities of each sentence, an array of shape (sentences, 3)."""
    rows = [(len(set(g)), len(set(p)), len(set(g) & set(p))) for g, p in pairs]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _f1(sums: NDArray[np.float64]) -> F1s:
    """F1 in percent of rows (gold, predicted, correct); 0 where there is no entity at all."""
    gold, predicted, correct = sums.T
    f1: F1s = 200.0 * correct / np.maximum(gold + predicted, 1)
    return f1


def _generator(purpose: str, genre: str, seed: int) -> np.random.Generator:
    """A generator that depends on these three alone, so not on which other genres exist."""
    name = f"{purpose} {genre} {seed}".encode("utf-8", "surrogatepass")
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name).digest()))


def _resampled(genre: str, counts: Counts, resamples: int, seed: int) -> F1s:
    """F1 of each resample of a genre's sentences; InputError where it has none.

    A resample draws as many sentences as there are, with replacement. Which ones depends on genre,
    seed and their number alone, so two systems with the same seed meet the same resamples.
    """
    if not len(counts):
        raise InputError(f"genre {genre}: no sentences to resample")
    generator = _generator("bootstrap", genre, seed)
    rows, columns = counts.shape
    values = counts.astype(np.float64)  # sums of whole numbers stay exact
    sums = np.empty((resamples, columns))
    step = max(1, CELLS // rows)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = generator.integers(rows, size=(size, rows))
        drawn += rows * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows)
        sums[start : start + size] = weights.astype(np.float64) @ values
    return _f1(sums)


def _interval(figures: F1s) -> Interval:
    low, high = np.percentile(figures, [2.5, 97.5])
    return Interval(float(low), float(high))


def bootstrap_f1(
    counts: Mapping[str, Counts], *, resamples: int = RESAMPLES, seed: int
) -> F1Intervals:
    """The 95% percentile intervals of the macro F1 over genres and of each genre, in percent.

    Each resample draws as many sentences as the genre has, with replacement, within each genre. A
    genre's interval does not depend on the other genres, nor the macro interval on their order.
    InputError for no genre, a genre without sentences, less than one resample.
    """
    _check_draws(resamples=resamples)
    f1s = {genre: _resampled(genre, counts[genre], resamples, seed) for genre in counts}
    if not f1s:
        raise InputError("no genre to resample; give at least one")
    return F1Intervals(_interval(_macro(f1s)), {genre: _interval(f1s[genre]) for genre in counts})


def _macro(figures: Mapping[str, F1s]) -> F1s:
    # genres in alphabetical order, so that sums round alike
    mean: F1s = np.mean([figures[genre] for genre in sorted(figures)], axis=0)
    return mean


def _check_draws(**numbers: int) -> None:
    for what, number in numbers.items():
        if number < 1:
            raise InputError(f"{what}={number}: draw at least once")


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
    (rounds + 1). InputError: genres, sentences or gold counts that differ.
    """
    _check_draws(resamples=resamples, rounds=rounds)
    _check_same(first, second)
    sides = (first, second)
    observed = [{g: _f1(side[g].sum(axis=0, keepdims=True)) for g in first} for side in sides]
    drawn = [{g: _resampled(g, side[g], resamples, seed) for g in first} for side in sides]
    shuffled = {g: _shuffled(g, first[g], second[g], rounds, seed) for g in first}

    def comparison(names: list[str]) -> Comparison:
        one, two = (_macro({g: side[g] for g in names}) for side in observed)
        ones, twos = (_macro({g: side[g] for g in names}) for side in drawn)
        chance = _macro({g: shuffled[g] for g in names})
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
    interval = _interval(resampled)
    return Estimate(float(observed[0]), interval.low, interval.high)


def _shuffled(genre: str, first: Counts, second: Counts, rounds: int, seed: int) -> F1s:
    """The difference of F1 in each round; sentences with equal counts on both sides are not drawn,
    exchanging them moves nothing.
    """
    generator = _generator("randomisation", genre, seed)
    change = second - first
    moved = change[(change != 0).any(axis=1)].astype(np.float64)
    shift = np.zeros((rounds, first.shape[1]))
    step = max(1, CELLS // max(1, len(moved)))
    for start in range(0, rounds, step):
        size = min(step, rounds - start)
        swaps = generator.random((size, len(moved))) < 0.5
        shift[start : start + size] = swaps.astype(np.float64) @ moved
    difference: NDArray[np.float64] = _f1(second.sum(axis=0) - shift) - _f1(
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
