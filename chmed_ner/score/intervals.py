"""Bootstrap intervals over sentences, stratified by genre; sentences are counted once only."""

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


def f1_of(sums: NDArray[np.float64]) -> F1s:
    """F1 in percent of rows (gold, predicted, correct); 0 where there is no entity at all."""
    gold, predicted, correct = sums.T
    f1: F1s = 200.0 * correct / np.maximum(gold + predicted, 1)
    return f1


def generator_for(purpose: str, genre: str, seed: int) -> np.random.Generator:
    """A generator that depends on nothing but these three, so not on which other genres exist."""
    name = f"{purpose} {genre} {seed}".encode("utf-8", "surrogatepass")
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name).digest()))


def resampled_f1(genre: str, counts: Counts, resamples: int, seed: int) -> F1s:
    """F1 of each resample of a genre's sentences; InputError where it has none.

    A resample draws as many sentences as there are, with replacement. Which ones depends on genre,
    seed and their number alone, so two systems with the same seed meet the same resamples.
    """
    if not len(counts):
        raise InputError(f"genre {genre}: no sentences to resample")
    generator = generator_for("bootstrap", genre, seed)
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
    return f1_of(sums)


def percentile_interval(figures: F1s) -> Interval:
    """The 95% percentile interval of resampled figures."""
    low, high = np.percentile(figures, [2.5, 97.5])
    return Interval(float(low), float(high))


def bootstrap_f1(counts: Mapping[str, Counts], *, resamples: int = 1000, seed: int) -> F1Intervals:
    """The 95% percentile intervals of the macro F1 over genres and of each genre, in percent.

    Each resample draws as many sentences as the genre has, with replacement, within each genre. A
    genre's interval does not depend on the other genres, nor the macro interval on their order.
    InputError for no genre, a genre without sentences, less than one resample.
    """
    check_draws("resamples", resamples)
    figures = {
        genre: resampled_f1(genre, counts[genre], resamples, seed) for genre in sorted(counts)
    }
    if not figures:
        raise InputError("no genre to resample; give at least one")
    return F1Intervals(
        percentile_interval(mean_over_genres(figures)),
        {genre: percentile_interval(figures[genre]) for genre in counts},
    )


def mean_over_genres(figures: Mapping[str, F1s]) -> F1s:
    """The macro F1 of each resample; genres in alphabetical order, so that sums round alike."""
    mean: F1s = np.mean([figures[genre] for genre in sorted(figures)], axis=0)
    return mean


def check_draws(what: str, number: int) -> None:
    """InputError unless there is at least one draw."""
    if number < 1:
        raise InputError(f"{what}={number}: draw at least once")
