"""Bootstrap intervals over sentences, stratified by genre; sentences are counted once only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chmed_ner.errors import InputError
from chmed_ner.score.entities import SpanPair

Counts = NDArray[np.int64]
"""One row a sentence: gold, predicted and correct entities."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The bounds of an interval, in percent."""

    low: float
    high: float


def sentence_counts(pairs: Iterable[SpanPair]) -> Counts:
    """Gold, predicted and correct entities of each sentence, an array of shape (sentences, 3)."""
    rows = [(len(set(g)), len(set(p)), len(set(g) & set(p))) for g, p in pairs]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _resampled_f1(
    counts: Counts, resamples: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """F1 in percent of each resample of one genre's sentences.

    Sentences with equal counts are alike, so they are drawn together: the multinomial over distinct
    rows has the distribution of drawing as many sentences with replacement, and far fewer cells.
    """
    rows, repeats = np.unique(counts, axis=0, return_counts=True)
    weights = generator.multinomial(len(counts), repeats / len(counts), size=resamples)
    gold, predicted, correct = (weights @ rows).T
    f1: NDArray[np.float64] = 200.0 * correct / np.maximum(gold + predicted, 1)
    return f1


def bootstrap_f1(counts: Mapping[str, Counts], *, resamples: int = 1000, seed: int) -> Interval:
    """The 95% percentile interval of the macro F1 over genres, in percent.

    Each resample draws as many sentences as the genre has, with replacement, within each genre; its
    F1 is 0 where it holds no entity at all. Genres are visited in alphabetical order, so the order
    of `counts` does not matter. Raises InputError for no genre or a genre without sentences.
    """
    if not counts:
        raise InputError("no genre to resample; give at least one")
    generator = np.random.default_rng(seed)
    sum_f1 = np.zeros(resamples)
    for genre in sorted(counts):
        if not len(counts[genre]):
            raise InputError(f"genre {genre}: no sentences to resample")
        sum_f1 += _resampled_f1(counts[genre], resamples, generator)
    low, high = np.percentile(sum_f1 / len(counts), [2.5, 97.5])
    return Interval(float(low), float(high))
