"""Votes of several systems on the entities of a sentence, and the thresholds they must reach."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from chmed_ner.entities.types import Span
from chmed_ner.score.spans import span_scores

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
    """One candidate for each span with its type; its share are the systems that predict just it."""
    votes: dict[Span, float] = {}
    for spans, weight in zip(ballots, weights, strict=True):
        for span in dict.fromkeys(spans):
            votes[span] = votes.get(span, 0.0) + weight
    return [Candidate(span, _share(given, weights)) for span, given in sorted(votes.items())]


def two_stage_votes(ballots: Ballots, weights: Sequence[float]) -> list[Candidate]:
    """Mention first, then type: one candidate for each `[start, end)`, of whatever type it is.

    Its share are the systems that predict these boundaries; its type is the one with most of their
    votes, of equals that of the system named first.
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


def elected(candidates: Iterable[Candidate], thresholds: Mapping[str, float]) -> tuple[Span, ...]:
    """The candidates whose share reaches their type's threshold, in text order, none overlapping.

    Of two that overlap the one with more votes stays, of equals the longer, then the earlier one.
    """
    passed = [each for each in candidates if each.share >= thresholds[each.span.type]]
    passed.sort(key=lambda each: (-each.share, each.span.start - each.span.end, each.span))
    taken: list[Span] = []
    for each in passed:
        span = each.span
        if all(span.end <= other.start or other.end <= span.start for other in taken):
            taken.append(span)
    return tuple(sorted(taken))


Judged = Sequence[tuple[Sequence[Span], Sequence[Candidate]]]
"""Sentences with gold: their entities and the candidates."""


def choose_thresholds(types: Sequence[str], sentences: Judged) -> dict[str, float]:
    """The thresholds by type with the best micro F1 on `sentences` (gold, candidates).

    First one for all types (half of the votes unless another share is better), then type by type
    until none changes. Tried are the shares that occur, and 1; a threshold moves only where F1
    rises, so a type that never decides anything keeps the common one.
    """
    shares = sorted({each.share for _, candidates in sentences for each in candidates} | {1.0})
    best = _improved(dict.fromkeys(types, MAJORITY), types, shares, sentences)
    while True:
        before = best
        for type_ in types:
            best = _improved(best, [type_], shares, sentences)
        if best == before:
            return best


def _improved(
    thresholds: Mapping[str, float],
    types: Sequence[str],
    shares: Sequence[float],
    sentences: Judged,
) -> dict[str, float]:
    """`thresholds` with that of `types` moved to the share that raises F1 most, if any does."""
    trials = [{**thresholds, **dict.fromkeys(types, share)} for share in shares]
    return max([dict(thresholds), *trials], key=lambda trial: _f1(sentences, trial))


def _f1(sentences: Judged, thresholds: Mapping[str, float]) -> float:
    return span_scores((gold, elected(found, thresholds)) for gold, found in sentences).f1


def _share(votes: float, weights: Sequence[float]) -> float:
    return round(votes / sum(weights), EXACT)
