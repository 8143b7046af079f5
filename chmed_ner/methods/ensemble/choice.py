"""`method.voting=auto`: which runs vote, and how, by cross-validation on validation sentences.

What is learnt of votes is learnt on the other folds, so that a way that fits closely gains nothing
by it. For each way of voting, runs are added one by one, the one first that gains most (Caruana et
al. 2004, Ensemble Selection from Libraries of Models). Of all these sets the simplest is taken that
is less than one standard error below the best (Breiman et al. 1984, Classification and Regression
Trees, 3.4.3). As the best of many is flattered, its F1 is measured again, with choices that have
not seen the fold that they are measured on (Varma and Simon 2006, Bias in error estimation).
"""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

from chmed_ner.entities import Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.methods.ensemble.election import STACKED, Voters
from chmed_ner.methods.ensemble.voting import VOTINGS
from chmed_ner.score import Counts, sentence_counts

FOLDS = 5
WAYS = (*VOTINGS, STACKED)
"""The ways of voting, the simplest first."""
Folds = frozenset[int]


@dataclass(frozen=True)
class Option:
    """A way of voting and the places of the runs, with what it elects in folds it has not seen:
    gold, predicted and correct entities, a row a sentence."""

    voting: str
    runs: tuple[int, ...]
    counts: Counts = field(repr=False, compare=False)

    @cached_property
    def f1(self) -> float:
        """Micro F1 in percent."""
        return micro_f1(self.counts)

    @property
    def simplicity(self) -> tuple[int, int, float]:
        """Fewer runs, then the simpler way, then the better one come first."""
        return len(self.runs), WAYS.index(self.voting), -self.f1


@dataclass(frozen=True)
class Choice:
    """The options that were tried, the one that is taken, and the F1 (percent) of choosing so."""

    options: Sequence[Option]
    taken: Option
    nested_f1: float

    def as_json(self, names: Sequence[str]) -> dict[str, Any]:
        """What was taken, and every option, the best first, with the standard error of its
        difference from what was taken; `names` are those of the runs."""

        def shown(each: Option) -> dict[str, Any]:
            error = standard_error(each.counts, self.taken.counts)
            runs = [f"{at} {names[at]}" for at in each.runs]
            return {"voting": each.voting, "runs": runs, "f1": each.f1, "standard_error": error}

        ordered = sorted(self.options, key=lambda each: -each.f1)
        return {
            "folds": FOLDS,
            "nested_f1": self.nested_f1,
            "taken": shown(self.taken),
            "options": list(map(shown, ordered)),
        }


def micro_f1(counts: Counts) -> float:
    """Micro F1 in percent of the sentences."""
    gold, predicted, correct = counts.sum(axis=0)
    return float(200 * correct / max(1, gold + predicted))


def standard_error(one: Counts, other: Counts) -> float:
    """The standard error, in points, of the difference of two micro F1 on the same sentences, by
    the delta method: F1 is a ratio of sums over sentences."""

    def influence(counts: Counts) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        gold, predicted, correct = counts.T
        size = max(1, int((gold + predicted).sum()))
        found: np.ndarray[tuple[int], np.dtype[np.float64]] = (
            200 * correct - micro_f1(counts) * (gold + predicted)
        ) / size
        return found

    return float(np.sqrt(np.square(influence(one) - influence(other)).sum()))


def simplest(options: Sequence[Option]) -> Option:
    """The simplest option that is less than one standard error below the best, or the best."""
    best = max(options, key=lambda each: (each.f1, [-part for part in each.simplicity]))
    good = [o for o in options if best.f1 - o.f1 < standard_error(best.counts, o.counts)]
    return min([best, *good], key=lambda each: each.simplicity)


class CrossValidation:
    """The options of an ensemble, each fold of the sentences predicted from other folds."""

    def __init__(self, voters: Voters, sentences: Sequence[Sentence], seed: int) -> None:
        self._places = range(len(voters.votes))
        self._voters = cache(voters.only)
        texts = list(dict.fromkeys(sentence.text for sentence in sentences))
        random.Random(f"folds {seed}").shuffle(texts)
        fold = {text: at % FOLDS for at, text in enumerate(texts)}
        self._folds = [[s for s in sentences if fold[s.text] == n] for n in range(FOLDS)]
        self._counts = cache(self._counted)

    def choose(self) -> Choice:
        """The choice on all folds, and what choices on all but one are worth on that one."""
        nested = []
        for held in range(FOLDS):
            taken = simplest(self._options(frozenset([held])))
            nested.append(self._counts(taken.voting, taken.runs, frozenset([held]))[held])
        options = self._options(frozenset())
        return Choice(options, simplest(options), micro_f1(np.concatenate(nested)))

    def _options(self, held_out: Folds) -> list[Option]:
        """What is tried, as the folds but those held out judge it."""
        found = []
        for voting in WAYS:
            runs: tuple[int, ...] = ()
            while left := [at for at in self._places if at not in runs]:
                tried = [self._option(voting, (*runs, at), held_out) for at in left]
                found += tried
                runs = max(tried, key=lambda each: each.f1).runs
        return found

    def _option(self, voting: str, runs: Sequence[int], held_out: Folds) -> Option:
        judges = [fold for fold in range(FOLDS) if fold not in held_out]
        runs = tuple(sorted(runs))
        found = [self._counts(voting, runs, held_out | {fold})[fold] for fold in judges]
        return Option(voting, runs, np.concatenate(found))

    def _counted(self, voting: str, runs: tuple[int, ...], unseen: Folds) -> dict[int, Counts]:
        """The counts of each unseen fold, by what is learnt from the others."""
        seen = [s for fold, some in enumerate(self._folds) if fold not in unseen for s in some]
        elect: Callable[[Sentence], tuple[Span, ...]] = _nobody
        with suppress(InputError):  # stacked voting learns nothing there: nobody is elected
            elect = self._voters(runs).election(voting, seen).elect
        return {
            fold: sentence_counts((s.entities, elect(s)) for s in self._folds[fold])
            for fold in unseen
        }


def _nobody(_: Sentence) -> tuple[Span, ...]:
    return ()
