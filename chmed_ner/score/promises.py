"""Thresholds on raw confidences that keep a promise about text to come, at a stated certainty.

Learn then test (Angelopoulos, Bates, Candès, Jordan and Lei 2021): each threshold of a list that is
set before any data is seen is a hypothesis, "the precision of what it keeps is at most the target",
rejected on validation by an exact binomial test, with the error controlled over the list. Sentences
are taken to be independent draws of what is to come. Entities of one sentence are not independent:
entities count for as many as would vary alike if they were (Korn and Graubard 1998, Confidence
intervals for proportions with small expected number of positive counts estimated from survey data).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, exp, lgamma, log, log1p

import numpy as np
from numpy.typing import NDArray

from chmed_ner.entities import Span
from chmed_ner.score.confidence import JudgedSentence

PRECISION, RECALL = "precision", "recall"
CERTAINTY = 0.95

STARTS = (0.9999, 0.999, 0.99, 0.9, 0.5, 0.0)
"""Where the search for a precision begins, each time with its share of the allowed error."""
THRESHOLDS = tuple(sorted({*STARTS, *(1 / (1 + exp(-x / 10)) for x in range(-46, 93))}))
"""Set before any data is seen: log-odds from -4.6 to 9.2, and all of the entities."""
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a threshold keeps of some sentences: their gold entities, those kept, those right."""

    gold: int
    kept: int
    right: int

    @property
    def precision(self) -> float:
        """Right of the kept, 0 to 1; 0 of none."""
        return self.right / self.kept if self.kept else 0.0

    @property
    def recall(self) -> float:
        """Right of gold, 0 to 1; 0 of none."""
        return self.right / self.gold if self.gold else 0.0


@dataclass(frozen=True, slots=True)
class Promise:
    """Of entities with at least the raw confidence `threshold`, the `figure` (precision or recall)
    is at least `target`, with `certainty` over draws of the validation sentences."""

    figure: str
    target: float
    certainty: float
    threshold: float

    def keeps(self, span: Span) -> bool:
        """Whether a span, its confidence raw, is sure enough; one without a confidence is not."""
        return span.confidence is not None and span.confidence >= self.threshold


def kept_of(sentences: Iterable[JudgedSentence], threshold: float) -> Kept:
    """What entities of at least this raw confidence are worth in these sentences."""
    listed = list(sentences)
    kept = [e.right for each in listed for e in each.entities if e.confidence >= threshold]
    return Kept(sum(each.gold for each in listed), len(kept), sum(kept))


def promise(
    sentences: Sequence[JudgedSentence], figure: str, target: float, certainty: float = CERTAINTY
) -> Promise | None:
    """The threshold that keeps the promise at the least cost; None: the sentences do not show any.

    For a precision that is the lowest threshold found, for a recall the highest.
    """
    search = _lowest_precise if figure == PRECISION else _highest_complete
    threshold = search(_Evidence(sentences), target, 1 - certainty)
    return None if threshold is None else Promise(figure, target, certainty, threshold)


def best_promise(
    sentences: Sequence[JudgedSentence], figure: str, certainty: float = CERTAINTY
) -> Promise | None:
    """The highest target in whole percent that can be promised; None: none."""
    low, high = 0, 100
    while low + 1 < high:  # promised for `low`, or that is 0; not for `high`
        middle = (low + high) // 2
        if promise(sentences, figure, middle / 100, certainty) is None:
            high = middle
        else:
            low = middle
    return promise(sentences, figure, low / 100, certainty) if low else None


class _Evidence:
    """How many entities of each sentence a threshold keeps, and how many of these are right."""

    def __init__(self, sentences: Sequence[JudgedSentence]) -> None:
        self.gold: Counts = np.array([each.gold for each in sentences], dtype=np.int64)
        entities = [(n, e) for n, each in enumerate(sentences) for e in each.entities]
        self._sentence = np.array([n for n, _ in entities], dtype=np.int64)
        self._confidence = np.array([e.confidence for _, e in entities])
        self._right = np.array([e.right for _, e in entities], dtype=bool)

    def kept(self, threshold: float) -> tuple[Counts, Counts]:
        passed = self._confidence >= threshold
        size = len(self.gold)
        return (
            np.bincount(self._sentence[passed], minlength=size),
            np.bincount(self._sentence[passed & self._right], minlength=size),
        )


def _lowest_precise(found: _Evidence, target: float, error: float) -> float | None:
    """From each start down to the first threshold that is not shown; the lowest that any reaches.

    Each start has an equal share of the error (Bonferroni); a fixed sequence needs no more.
    """
    lowest, going = None, False
    for threshold in reversed(THRESHOLDS):
        if going or threshold in STARTS:
            kept, right = found.kept(threshold)
            going = p_value(kept - right, kept, 1 - target) <= error / len(STARTS)
            lowest = threshold if going else lowest
    return lowest


def _highest_complete(found: _Evidence, target: float, error: float) -> float | None:
    """Fixed sequence: all entities first, then ever fewer, up to the first that is not shown."""
    highest = None
    for threshold in THRESHOLDS:
        lost = found.gold - found.kept(threshold)[1]
        if p_value(lost, found.gold, 1 - target) > error:
            break
        highest = threshold
    return highest


def p_value(wrong: Counts, of: Counts, rate: float) -> float:
    """Against "wrong are at least `rate` of them", counts by sentence: the chance of so few wrong.

    As many entities count as, drawn independently, would vary like these do between sentences.
    """
    every, failed = int(of.sum()), int(wrong.sum())
    share = failed / every if every else 0.0
    effect = 1.0
    if 0 < share < 1:
        spread = float(((wrong - share * of) ** 2).sum())
        effect = max(1.0, round(spread / (every * share * (1 - share)), 6))
    return _at_most(ceil(failed / effect), int(every / effect), rate)


def _at_most(most: int, of: int, rate: float) -> float:
    """The chance of at most `most` among `of` independent draws of a `rate` between 0 and 1."""
    terms = (
        lgamma(of + 1)
        - lgamma(n + 1)
        - lgamma(of - n + 1)
        + n * log(rate)
        + (of - n) * log1p(-rate)
        for n in range(min(most, of) + 1)
    )
    return min(1.0, sum(exp(each) for each in terms))
