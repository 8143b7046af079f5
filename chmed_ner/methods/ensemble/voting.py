"""Votes of several systems on the entities of a sentence, counted or weighed, and thresholds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from chmed_ner.entities import Scores, Span, surest

Ballots = Sequence[Sequence[Span]]
"""What each system predicts in one sentence."""
EXACT = 9
"""Decimals of a share of votes: sums of weights in another order must give the same number."""
MAJORITY = 0.5


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entity that somebody votes for, with its share of the votes (0 to 1)."""

    span: Span
    share: float


def span_votes(ballots: Ballots, weights: Sequence[float]) -> list[Candidate]:
    """One candidate for each span with its type, shared by the systems that predict just it."""
    votes: dict[Span, float] = {}
    for spans, weight in zip(ballots, weights, strict=True):
        for span in dict.fromkeys(spans):
            votes[span] = votes.get(span, 0.0) + weight
    return [Candidate(span, _share(given, weights)) for span, given in sorted(votes.items())]


def two_stage_votes(ballots: Ballots, weights: Sequence[float]) -> list[Candidate]:
    """Mention first, then type: one candidate for each `[start, end)`, of whatever type it is.

    Its type is the one with most votes of these systems, of equals that of the one named first.
    """
    types: dict[tuple[int, int], dict[str, float]] = {}
    for spans, weight in zip(ballots, weights, strict=True):
        for span in dict.fromkeys(spans):
            found = types.setdefault((span.start, span.end), {})
            found[span.type] = found.get(span.type, 0.0) + weight
    return [
        Candidate(
            Span(start, end, max(found, key=lambda type_: round(found[type_], EXACT))),
            _share(sum(found.values()), weights),
        )
        for (start, end), found in sorted(types.items())
    ]


VOTINGS: dict[str, Callable[[Ballots, Sequence[float]], list[Candidate]]] = {
    "span": span_votes,
    "two_stage": two_stage_votes,
}
"""Every way of counting by its name in the configuration."""


def elected(
    candidates: Iterable[Candidate], thresholds: Mapping[str, float], *, nested: bool = False
) -> tuple[Span, ...]:
    """The candidates that reach their type's threshold, in text order, none overlapping; `nested`,
    some may be inside others.

    Of two that overlap the one with more votes stays, of equals the longer, then the earlier one.
    Their confidence is their share.
    """
    passed = [each for each in candidates if each.share >= thresholds[each.span.type]]
    return surest((replace(e.span, confidence=e.share) for e in passed), nested=nested)


class Judged:
    """A sentence with gold: its entities and the candidates; what is elected is counted once."""

    def __init__(
        self, gold: Iterable[Span], candidates: Sequence[Candidate], *, nested: bool = False
    ) -> None:
        self.candidates = candidates
        self.types = tuple(sorted({each.span.type for each in candidates}))
        self._gold, self._nested = frozenset(gold), nested
        self._known: dict[tuple[float, ...], Scores] = {}

    def scores(self, thresholds: Mapping[str, float]) -> Scores:
        """The counts of what these thresholds elect."""
        key = tuple(thresholds[type_] for type_ in self.types)
        if key not in self._known:
            found = frozenset(elected(self.candidates, thresholds, nested=self._nested))
            right = len(found & self._gold)
            self._known[key] = Scores(len(self._gold), len(found), right)
        return self._known[key]


def choose_thresholds(types: Sequence[str], sentences: Sequence[Judged]) -> dict[str, float]:
    """The thresholds by type with the best micro F1 on `sentences`.

    First one for all types, a majority unless another share is better, then type by type until none
    changes. Tried are the shares that occur, and 1; a threshold moves only where F1 rises.
    """
    shares = sorted({each.share for s in sentences for each in s.candidates} | {1.0})

    def improved(thresholds: dict[str, float], moved: Sequence[str]) -> dict[str, float]:
        there = [each for each in sentences if not each.types or set(each.types) & set(moved)]
        rest = elected_scores([e for e in sentences if e not in there], thresholds)
        trials = [thresholds, *({**thresholds, **dict.fromkeys(moved, share)} for share in shares)]
        return max(trials, key=lambda trial: add(rest, elected_scores(there, trial)).f1)

    best = improved(dict.fromkeys(types, MAJORITY), types)
    while True:
        before = best
        for type_ in types:
            best = improved(best, [type_])
        if best == before:
            return best


def elected_scores(sentences: Iterable[Judged], thresholds: Mapping[str, float]) -> Scores:
    """The counts of what is elected, all sentences together."""
    return add(*(each.scores(thresholds) for each in sentences))


def add(*scores: Scores) -> Scores:
    """All counts together."""
    return Scores(
        sum(each.gold for each in scores),
        sum(each.predicted for each in scores),
        sum(each.correct for each in scores),
    )


def _share(votes: float, weights: Sequence[float]) -> float:
    return round(votes / sum(weights), EXACT)
