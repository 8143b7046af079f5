"""Annotations that are probably wrong, by models that have not seen them and by their own corpus.

After confident learning (Northcutt, Jiang and Chuang 2021, *Confident Learning: Estimating
Uncertainty in Dataset Labels*), which ranks labels by what out-of-fold predictions say of them. A
class there is an entity here, and the corpus is a second witness: how it annotates the same string
elsewhere. README.md gives the score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chmed_ner.entities import Sentence, Span
from chmed_ner.score.breakdowns import pairings
from chmed_ner.score.usage import PLAIN, Usage, Usages

SUGGESTED = {
    "missed": "spurious",
    "spurious": "missed",
    "type": "type",
    "boundary": "boundary",
    "boundary_and_type": "boundary",
}
"""What is wrong with the annotation, by what is wrong with the prediction if it is right."""
SUGGESTION_KINDS = ("missed", "spurious", "boundary", "type")
WEIGHT = 2.0
"""The occurrences that the model's confidence counts for."""
UNKNOWN = 0.3
"""The confidence in an annotated entity, where the model can tell none and predicts otherwise."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An annotated entity that is probably wrong, or none where there should be one.

    `kind` is of `SUGGESTION_KINDS`; `annotated` is None for what was missed, `suggested` for what
    is spurious; both have the confidence of the model in them. `score` is 0 to 1; `usages` are the
    strings of the two, elsewhere.
    """

    sentence: Sentence
    kind: str
    annotated: Span | None
    suggested: Span | None
    score: float
    usages: Sequence[Usage]


def suggestions(
    sentences: Sequence[Sentence], predicted: Mapping[str, Sequence[Span]]
) -> list[Suggestion]:
    """A suggestion for each place where prediction and annotation differ, the surest first."""
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
    found = [
        _suggestion(sentence, SUGGESTED[pairing.kind], pairing.gold, pairing.predicted, usages)
        for sentence, pairing in pairs
    ]
    return sorted(found, key=lambda each: -each.score)


def _suggestion(
    sentence: Sentence, kind: str, annotated: Span | None, suggested: Span | None, usages: Usages
) -> Suggestion:
    score, evidence = 1.0, []
    if suggested is not None:
        usage = usages.elsewhere(sentence, suggested)
        score *= usage.share(suggested.type, _confidence(suggested, 1 - UNKNOWN), WEIGHT)
        evidence.append(usage)
    if annotated is not None:
        usage = usages.elsewhere(sentence, annotated)
        score *= 1 - usage.share(annotated.type, _confidence(annotated, UNKNOWN), WEIGHT)
        if kind != "type":
            evidence.append(usage)
    return Suggestion(sentence, kind, annotated, suggested, score, evidence)


def _confidence(span: Span, unknown: float) -> float:
    return unknown if span.confidence is None else span.confidence


def suggestion_record(suggestion: Suggestion) -> dict[str, Any]:
    """A suggestion as a line of `suggestions.jsonl`."""
    sentence = suggestion.sentence
    return {
        "id": sentence.id,
        "kind": suggestion.kind,
        "score": round(suggestion.score, 4),
        "sentence": sentence.text,
        "annotated": _entity(sentence, suggestion.annotated),
        "suggested": _entity(sentence, suggestion.suggested),
        "evidence": [_evidence(usage) for usage in suggestion.usages],
    }


def _entity(sentence: Sentence, span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    found = {
        "start": span.start,
        "end": span.end,
        "type": span.type,
        "mention": sentence.mention(span),
    }
    return found if span.confidence is None else {**found, "confidence": round(span.confidence, 4)}


def _evidence(usage: Usage) -> dict[str, Any]:
    return {
        "mention": usage.text,
        "elsewhere": {type_: count for type_, count in usage.types.items() if type_ != PLAIN},
        "not_annotated": usage.types.get(PLAIN, 0),
        "examples": [
            {
                "id": each.id,
                "type": each.type or None,
                "context": each.before + each.text + each.after,
            }
            for each in usage.examples
        ],
    }
