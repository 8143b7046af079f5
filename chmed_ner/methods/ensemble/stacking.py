"""Stacked votes: a logistic regression says how likely a predicted entity is right."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Any

from chmed_ner.data import UNTYPED
from chmed_ner.entities import (
    Lexicon,
    Sentence,
    Simplified,
    Span,
    entries_as_json,
    entries_from_json,
)
from chmed_ner.errors import InputError
from chmed_ner.methods.ensemble.voting import Ballots, Candidate, Judged, elected_scores

SIMPLIFIED = Simplified()
LONG = 5
"""Characters from which a mention is a long one; single characters are short ones."""
ROUNDS = 20


@dataclass(frozen=True)
class Known:
    """Mentions of the training split, each with a type that it has there; word lists by name, in
    simplified characters."""

    mentions: frozenset[tuple[str, str]]
    lists: Mapping[str, Lexicon] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What `known_from_json` reads."""
        lists = {name: entries_as_json(listed) for name, listed in self.lists.items()}
        return {"mentions": sorted(self.mentions), "lists": lists}

    def evidence(self, mention: str, type_: str) -> dict[str, bool]:
        """Whether training, and each list, has the mention with this type, a list with none."""
        found = {"known": (mention, type_) in self.mentions}
        for name, listed in self.lists.items():
            entry = listed.entries.get(SIMPLIFIED.convert(mention))
            found[f"list {name}"] = entry is not None and entry.type in (UNTYPED, type_)
        return found


NOTHING_KNOWN = Known(frozenset())


def known_from_json(content: Mapping[str, Any]) -> Known:
    """What `Known.as_json` gave; KeyError, TypeError, ValueError or AttributeError for anything
    else."""
    lists = {name: entries_from_json(listed) for name, listed in content["lists"].items()}
    return Known(frozenset((mention, type_) for mention, type_ in content["mentions"]), lists)


Evidence = Mapping[Span, Mapping[str, float]]
"""For each predicted span: what speaks for it and against it, by name."""


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

    def candidates(self, evidence: Evidence) -> list[Candidate]:
        """A candidate for each span that somebody predicts; its share is its probability."""
        return [Candidate(span, self.probability(found)) for span, found in evidence.items()]


def evidence_of(sentence: Sentence, ballots: Ballots, known: Known) -> Evidence:
    """The evidence for each predicted span, 0 to 1 by name: who says so, how sure, who says
    otherwise, ..."""
    found: dict[Span, Mapping[str, float]] = {}
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
    evidence_for: Callable[[Sentence], Evidence],
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
        for span, evidence in evidence_for(sentence).items()
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
    judged = [
        Judged(s.entities, untuned.candidates(evidence_for(s)), nested=nested) for s in sentences
    ]
    return Stacking(untuned.weights, untuned.intercept, half_of_f1(judged, types))


def half_of_f1(judged: Sequence[Judged], types: Sequence[str]) -> float:
    """The threshold that is half of the F1 (0 to 1) it gives on `judged`, or the last of ROUNDS."""
    threshold = 0.5
    for _ in range(ROUNDS):
        before = threshold
        threshold = elected_scores(judged, dict.fromkeys(types, threshold)).f1 / 200
        if threshold == before:
            break
    return threshold
