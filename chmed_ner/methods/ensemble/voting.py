"""Votes of several systems on the entities of a sentence, counted or weighed, and thresholds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp

from chmed_ner.data import UNTYPED
from chmed_ner.entities import Lexicon, Sentence, Simplified, Span, crosses, in_text_order
from chmed_ner.errors import InputError
from chmed_ner.score import span_scores

Ballots = Sequence[Sequence[Span]]
"""What each system predicts in one sentence."""
EXACT = 9
"""Decimals of a share of votes: sums of weights in another order must give the same number."""
MAJORITY = 0.5
SIMPLIFIED = Simplified()


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
    passed.sort(key=lambda each: (-each.share, each.span.start - each.span.end, each.span))
    taken: list[Span] = []
    for each in passed:
        span = each.span
        if nested:
            fits = not any(crosses(span, other) for other in taken)
        else:
            fits = all(span.end <= other.start or other.end <= span.start for other in taken)
        if fits:
            taken.append(replace(span, confidence=each.share))
    return in_text_order(taken)


Judged = Sequence[tuple[Sequence[Span], Sequence[Candidate]]]
"""Sentences with gold: their entities and the candidates."""


def choose_thresholds(
    types: Sequence[str], sentences: Judged, *, nested: bool = False
) -> dict[str, float]:
    """The thresholds by type with the best micro F1 on `sentences`.

    First one for all types, a majority unless another share is better, then type by type until none
    changes. Tried are the shares that occur, and 1; a threshold moves only where F1 rises.
    """
    shares = sorted({each.share for _, candidates in sentences for each in candidates} | {1.0})

    def improved(thresholds: dict[str, float], moved: Sequence[str]) -> dict[str, float]:
        trials = [{**thresholds, **dict.fromkeys(moved, share)} for share in shares]
        return max(
            [thresholds, *trials], key=lambda trial: elected_f1(sentences, trial, nested=nested)
        )

    best = improved(dict.fromkeys(types, MAJORITY), types)
    while True:
        before = best
        for type_ in types:
            best = improved(best, [type_])
        if best == before:
            return best


def elected_f1(
    sentences: Judged, thresholds: Mapping[str, float], *, nested: bool = False
) -> float:
    """Micro F1 (percent) of what is elected."""
    return span_scores(
        (gold, elected(found, thresholds, nested=nested)) for gold, found in sentences
    ).f1


def _share(votes: float, weights: Sequence[float]) -> float:
    return round(votes / sum(weights), EXACT)


LONG = 5
"""Characters from which a mention is a long one; single characters are short ones."""
ROUNDS = 20


@dataclass(frozen=True)
class Known:
    """Mentions of the training split, each with a type that it has there; word lists by name, in
    simplified characters."""

    mentions: frozenset[tuple[str, str]]
    lists: Mapping[str, Lexicon] = field(default_factory=dict)

    def evidence(self, mention: str, type_: str) -> dict[str, bool]:
        """Whether training, and each list, has the mention with this type, a list with none."""
        found = {"known": (mention, type_) in self.mentions}
        for name, listed in self.lists.items():
            entry = listed.entries.get(SIMPLIFIED.convert(mention))
            found[f"list {name}"] = entry is not None and entry.type in (UNTYPED, type_)
        return found


@dataclass(frozen=True, slots=True)
class Stacking:
    """A logistic regression of the evidence for an entity; kept from `threshold` on (0 to 1).

    F1 is highest where that is half of the F1 reached (Lipton, Elkan and Naryanaswamy 2014, Optimal
    Thresholding of Classifiers to Maximize F1 Measure).
    """

    weights: Mapping[str, float]
    intercept: float
    threshold: float

    def probability(self, evidence: Mapping[str, float]) -> float:
        """The chance (0 to 1) that an entity of this evidence is right."""
        total = self.intercept + sum(self.weights[name] * value for name, value in evidence.items())
        return 1 / (1 + exp(-total))

    def candidates(self, sentence: Sentence, ballots: Ballots, known: Known) -> list[Candidate]:
        """A candidate for each span that somebody predicts; its share is its probability."""
        return [
            Candidate(span, self.probability(evidence))
            for span, evidence in evidence_of(sentence, ballots, known).items()
        ]


def evidence_of(sentence: Sentence, ballots: Ballots, known: Known) -> dict[Span, dict[str, float]]:
    """The evidence for each predicted span, 0 to 1 by name: who says so, how sure, who says
    otherwise, ..."""
    found: dict[Span, dict[str, float]] = {}
    sure = [{span: span.confidence for span in spans} for spans in ballots]
    for span in sorted({span for spans in ballots for span in spans}):
        mention = sentence.mention(span)
        evidence: dict[str, float] = {
            **known.evidence(mention, span.type),
            "short": len(mention) == 1,
            "long": len(mention) >= LONG,
        }
        for place, spans in enumerate(ballots):
            others = [other for other in spans if other != span]
            same = [other for other in others if (other.start, other.end) == (span.start, span.end)]
            evidence[f"run {place}"] = span in spans
            evidence[f"run {place}, confidence"] = sure[place].get(span) or 0.0
            evidence[f"run {place}, another type"] = bool(same)
            evidence[f"run {place}, other boundaries"] = any(
                other.start < span.end and span.start < other.end and other not in same
                for other in others
            )
        found[span] = {name: float(value) for name, value in evidence.items()}
    return found


def fit(
    sentences: Sequence[Sentence],
    ballots: Callable[[Sentence], Ballots],
    known: Known,
    types: Sequence[str],
    *,
    nested: bool = False,
) -> Stacking:
    """The regression of `sentences`, whose gold entities say which candidates are right.

    Weights have an L2 penalty (scikit-learn's C=1). InputError: no candidates, all right or wrong.
    """
    from sklearn.linear_model import LogisticRegression

    table = [
        (evidence, span in sentence.entities)
        for sentence in sentences
        for span, evidence in evidence_of(sentence, ballots(sentence), known).items()
    ]
    right = [correct for _, correct in table]
    if len(set(right)) < 2:
        raise InputError(
            f"method.voting=stacked: the runs predict {sum(right)} right and "
            f"{len(right) - sum(right)} wrong entities in the {len(sentences)} validation "
            "sentences, so there is nothing to learn from; choose method.voting=span, or more "
            "validation sentences (dataset.validation_share)"
        )
    names = sorted(table[0][0])
    model = LogisticRegression(max_iter=1000)
    model.fit([[evidence[name] for name in names] for evidence, _ in table], right)
    weights = {name: float(weight) for name, weight in zip(names, model.coef_[0], strict=True)}
    untuned = Stacking(weights, float(model.intercept_[0]), threshold=0.5)
    judged = [(s.entities, untuned.candidates(s, ballots(s), known)) for s in sentences]
    return Stacking(untuned.weights, untuned.intercept, half_of_f1(judged, types, nested=nested))


def half_of_f1(judged: Judged, types: Sequence[str], *, nested: bool = False) -> float:
    """The threshold that is half of the F1 (0 to 1) it gives on `judged`, or the last of ROUNDS."""
    threshold = 0.5
    for _ in range(ROUNDS):
        before = threshold
        threshold = elected_f1(judged, dict.fromkeys(types, threshold), nested=nested) / 200
        if threshold == before:
            break
    return threshold
