"""Annotations that are probably wrong, by models that have not seen them and by their own corpus.

Confident learning (Northcutt, Jiang and Chuang 2021, *Confident Learning: Estimating Uncertainty in
Dataset Labels*) ranks labels by what out-of-fold predictions say of them; here a label is an
entity, and how the corpus annotates the same string elsewhere speaks too. What all this evidence is
worth is learnt from errors planted in the same corpus.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log, log1p
from typing import Any

from chmed_ner.entities import Sentence, Span
from chmed_ner.score.breakdowns import pairings
from chmed_ner.score.planted import Planted
from chmed_ner.score.usage import PLAIN, Usage, Usages

Spans = Mapping[str, Sequence[Span]]
Rehearsal = tuple[Sequence[Sentence], Sequence[Planted]]
"""The sentences with errors planted in them, and the errors."""

SUGGESTED = {
    "missed": "spurious",
    "spurious": "missed",
    "type": "type",
    "boundary": "boundary",
    "boundary_and_type": "boundary",
}
"""What is wrong with the annotation, by what is wrong with the prediction if it is right."""
SUGGESTION_KINDS = ("missed", "spurious", "boundary", "type")
PENALTY = 0.3
"""scikit-learn's C: the weights of evidence that is rare in a small corpus stay small."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An annotated entity that is probably wrong, or none where there should be one.

    `kind` is of `SUGGESTION_KINDS`; `annotated` is None for what was missed, `suggested` for what
    is spurious; both have the confidence of the model in them. `usages` are their strings
    elsewhere; `score`, 0 to 1, is how likely a place with this evidence is an error.
    """

    sentence: Sentence
    kind: str
    annotated: Span | None
    suggested: Span | None
    usages: tuple[Usage | None, Usage | None]
    score: float = 0.0


def suggestions(
    sentences: Sequence[Sentence], predicted: Spans, rehearsals: Iterable[Rehearsal]
) -> list[Suggestion]:
    """A suggestion for each place where prediction and annotation differ, the surest first.

    The entities of the sentences, and of the `rehearsals`, have the confidence of the model that
    predicted; the score is learnt from which differences of the rehearsals are planted errors.
    """
    found = differences(sentences, predicted)
    table: list[list[float]] = []
    right: list[bool] = []
    for spoiled, planted in rehearsals:
        by_id = defaultdict(list)
        for error in planted:
            by_id[error.id].append(error)
        for each in differences(spoiled, predicted):
            table.append(evidence(each))
            errors = by_id[each.sentence.id]
            right.append(any(error.touches(each.annotated, each.suggested) for error in errors))
    scores = _probabilities(table, right, [evidence(each) for each in found])
    scored = [replace(each, score=score) for each, score in zip(found, scores, strict=True)]
    return sorted(scored, key=lambda each: -each.score)


def differences(sentences: Sequence[Sentence], predicted: Spans) -> list[Suggestion]:
    """A suggestion without a score for each place where prediction and annotation differ."""
    pairs = [
        (sentence, pairing)
        for sentence in sentences
        for pairing in pairings(sentence.entities, predicted[sentence.id])
        if pairing.kind != "correct"
    ]
    strings = {
        sentence.model_text[span.start : span.end]
        for sentence, pairing in pairs
        for span in (pairing.gold, pairing.predicted)
        if span is not None
    }
    usages = Usages(sentences, strings)
    return [
        Suggestion(
            sentence,
            SUGGESTED[pairing.kind],
            pairing.gold,
            pairing.predicted,
            (
                None if pairing.gold is None else usages.elsewhere(sentence, pairing.gold),
                None
                if pairing.predicted is None
                else usages.elsewhere(sentence, pairing.predicted),
            ),
        )
        for sentence, pairing in pairs
    ]


def evidence(suggestion: Suggestion) -> list[float]:
    """What is known of annotated and suggested entity, how far apart their boundaries are, and how
    much of what is missed is a part of other annotated entities; on its own for each kind."""
    one, other = suggestion.annotated, suggestion.suggested
    spans = zip((one, other), suggestion.usages, strict=True)
    characters = 0
    if one and other:
        characters = abs(one.start - other.start) + abs(one.end - other.end)
    elif other:
        shared = (
            min(each.end, other.end) - max(each.start, other.start)
            for each in suggestion.sentence.entities
        )
        characters = sum(max(0, each) for each in shared)
    known = [1.0, log1p(characters), *(value for each in spans for value in _of_entity(*each))]
    nothing = [0.0] * len(known)
    return [
        value
        for kind in SUGGESTION_KINDS
        for value in (known if kind == suggestion.kind else nothing)
    ]


def _of_entity(span: Span | None, usage: Usage | None) -> list[float]:
    """The model's confidence, the string's other occurrences, its length; 0 where nothing is."""
    if span is None or usage is None:
        return [0.0] * 8
    same, plain = usage.types.get(span.type, 0), usage.types.get(PLAIN, 0)
    others, confidence = usage.occurrences - same - plain, span.confidence
    sure = 0.5 if confidence is None else confidence
    share = (same + 0.5 * sure + 0.05) / (usage.occurrences + 0.6)
    return [
        _log_odds(sure),
        *(log1p(count) for count in (same, plain, others, usage.inside)),
        _log_odds(share),
        (same + 0.2) / (usage.occurrences + usage.inside + 0.4),
        float(span.end - span.start),
    ]


def _log_odds(share: float) -> float:
    held = min(max(share, 1e-5), 1 - 1e-5)
    return log(held / (1 - held))


def _probabilities(
    table: Sequence[Sequence[float]], right: Sequence[bool], rows: Sequence[Sequence[float]]
) -> list[float]:
    """How likely each of `rows` is right, by a logistic regression of `table`; of what is all right
    or all wrong there is nothing to learn."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(set(right)) < 2 or not rows:
        return [float(any(right))] * len(rows)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=3000))
    return [float(each) for each in model.fit(table, right).predict_proba(rows)[:, 1]]


def suggestion_record(suggestion: Suggestion) -> dict[str, Any]:
    """A suggestion as a line of `suggestions.jsonl`."""
    sentence = suggestion.sentence
    spans = (suggestion.annotated, suggestion.suggested)
    annotated, suggested = (
        span and _entity(sentence, span, usage)
        for span, usage in zip(spans, suggestion.usages, strict=True)
    )
    return {
        "id": sentence.id,
        "kind": suggestion.kind,
        "score": round(suggestion.score, 4),
        "sentence": sentence.text,
        "annotated": annotated,
        "suggested": suggested,
    }


def _entity(sentence: Sentence, span: Span, usage: Usage | None) -> dict[str, Any]:
    assert usage is not None
    confidence = span.confidence
    return {
        "start": span.start,
        "end": span.end,
        "type": span.type,
        "mention": sentence.mention(span),
        **({} if confidence is None else {"confidence": round(confidence, 4)}),
        "elsewhere": {use: count for use, count in usage.types.items() if use != PLAIN},
        "not_annotated": usage.types.get(PLAIN, 0),
        "inside_others": usage.inside,
        "examples": [
            {"id": each.id, "type": each.type or None, "text": each.before + each.text + each.after}
            for each in usage.examples
        ],
    }
