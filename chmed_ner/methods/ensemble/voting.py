"""Votes of several systems on the entities of a sentence, and the thresholds they must reach."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp

from chmed_ner.entities.types import Sentence, Span
from chmed_ner.errors import InputError
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


LONG = 5
"""Characters from which a mention is a long one; single characters are short ones."""
ROUNDS = 20
"""Steps, at most, towards the fixed point of the threshold."""

Known = frozenset[tuple[str, str]]
"""Mentions of the training split, each with a type that it has there."""


@dataclass(frozen=True, slots=True)
class Stacking:
    """What is known of a predicted entity, weighed: `probability` is the logistic function of it.

    `threshold` is the probability from which an entity is kept. F1 is highest where that is half of
    the F1 reached (Lipton, Elkan and Naryanaswamy 2014, Optimal Thresholding of Classifiers to
    Maximize F1 Measure).
    """

    weights: Mapping[str, float]
    intercept: float
    threshold: float

    def probability(self, evidence: Mapping[str, float]) -> float:
        """The chance (0 to 1) that an entity of this evidence is right."""
        total = self.intercept + sum(self.weights[name] * value for name, value in evidence.items())
        return 1 / (1 + exp(-total))

    def candidates(self, sentence: Sentence, ballots: Ballots, known: Known) -> list[Candidate]:
        """A candidate for each span with its type that somebody predicts; its share of the votes is
        its probability."""
        return [
            Candidate(span, self.probability(evidence))
            for span, evidence in evidence_of(sentence, ballots, known).items()
        ]


def evidence_of(sentence: Sentence, ballots: Ballots, known: Known) -> dict[Span, dict[str, float]]:
    """What is known of each predicted span: who predicts it, who something else at its place,
    whether training has the mention with this type, whether it is short or long; all 0 or 1."""
    found: dict[Span, dict[str, float]] = {}
    for span in sorted({span for spans in ballots for span in spans}):
        mention = sentence.mention(span)
        evidence = {
            "known": (mention, span.type) in known,
            "short": len(mention) == 1,
            "long": len(mention) >= LONG,
        }
        for place, spans in enumerate(ballots):
            others = [other for other in spans if other != span]
            same = [other for other in others if (other.start, other.end) == (span.start, span.end)]
            evidence[f"run {place}"] = span in spans
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
) -> Stacking:
    """The regression of `sentences`, whose gold entities say which candidates are right.

    Weights are shrunk by an L2 penalty (scikit-learn's default, C=1). Raises InputError where
    nothing can be learnt: no candidates, or all of them right, or all wrong.
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
    return Stacking(untuned.weights, untuned.intercept, half_of_f1(judged, types))


def half_of_f1(judged: Judged, types: Sequence[str]) -> float:
    """The threshold that is half of the F1 (0 to 1) which it gives on `judged`; where steps towards
    it do not settle, the last of ROUNDS."""
    threshold = 0.5
    for _ in range(ROUNDS):
        chosen = dict.fromkeys(types, threshold)
        f1 = span_scores((gold, elected(found, chosen)) for gold, found in judged).f1
        if f1 / 200 == threshold:
            break
        threshold = f1 / 200
    return threshold
