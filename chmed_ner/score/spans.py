"""Scores on spans, on mention strings and on characters; what restoration can reach at most."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from chmed_ner.entities import (
    Mention,
    Scores,
    Sentence,
    Span,
    inside,
    joined,
    pieces,
    restore,
)
from chmed_ner.errors import InputError

Entity = TypeVar("Entity", Span, Mention)

SpanPair = tuple[Sequence[Span], Sequence[Span]]
"""The gold and the predicted spans of one sentence."""


def scores_by_type(
    pairs: Iterable[tuple[Collection[Entity], Collection[Entity]]],
) -> dict[str, Scores]:
    """Counts per type found in gold or prediction, types in alphabetical order.

    A prediction is correct when gold has the very same one in that sentence.
    """
    gold_types: Counter[str] = Counter()
    predicted_types: Counter[str] = Counter()
    correct_types: Counter[str] = Counter()
    for gold, predicted in pairs:
        wanted, given = set(gold), set(predicted)
        gold_types.update(span.type for span in wanted)
        predicted_types.update(span.type for span in given)
        correct_types.update(span.type for span in wanted & given)
    return {
        type_: Scores(gold_types[type_], predicted_types[type_], correct_types[type_])
        for type_ in sorted(gold_types | predicted_types)
    }


def total(by_type: Mapping[str, Scores]) -> Scores:
    """The counts of all types together."""
    every = by_type.values()
    return Scores(
        sum(scores.gold for scores in every),
        sum(scores.predicted for scores in every),
        sum(scores.correct for scores in every),
    )


def span_scores(pairs: Iterable[SpanPair]) -> Scores:
    """Exact spans with their types, micro over the sentences: the official counts on flat spans."""
    return total(scores_by_type(pairs))


OUTERMOST, INSIDE = "outermost", "inside"


def nesting_scores(pairs: Iterable[SpanPair]) -> dict[str, Scores]:
    """`span_scores` of the `outermost` entities, and of those `inside` a longer one.

    A predicted entity that gold has is where gold has it, another where the prediction has it; so
    an entity inside another is found even where that other is missed.
    """
    parts: dict[str, list[SpanPair]] = {OUTERMOST: [], INSIDE: []}
    for gold, predicted in pairs:
        within = inside(gold) | (inside(predicted) - frozenset(gold))
        for part, here in ((OUTERMOST, False), (INSIDE, True)):
            wanted, given = (
                [s for s in side if (s in within) == here] for side in (gold, predicted)
            )
            parts[part].append((wanted, given))
    return {part: span_scores(each) for part, each in parts.items()}


def mention_scores(
    pairs: Iterable[tuple[Collection[Mention], Collection[Mention]]],
) -> Scores:
    """Distinct (mention, type) pairs of each sentence, micro over the sentences.

    Both sides must be in the same script.
    """
    return total(scores_by_type(pairs))


def tag_scores(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> Scores:
    """Characters whose tag is not `O`: in gold, predicted, and with the same tag in both.

    This is the "F1 of tags" of the corpora's READMEs. InputError where tags differ in number.
    """
    gold, predicted, correct = 0, 0, 0
    for wanted, given in pairs:
        if len(wanted) != len(given):
            raise InputError(f"{len(wanted)} gold tags, but {len(given)} predicted ones")
        gold += sum(tag != "O" for tag in wanted)
        predicted += sum(tag != "O" for tag in given)
        correct += sum(a == b != "O" for a, b in zip(wanted, given, strict=True))
    return Scores(gold, predicted, correct)


def target_ceiling_scores(
    policy: str,
    sentences: Iterable[Sentence],
    listed: Mapping[str, Sequence[Mention]],
    *,
    nested: bool = False,
) -> Scores:
    """The ceiling of a prompt format: what it writes for gold, by sentence or piece id, restored.

    KeyError for an unknown policy or id.
    """

    def reached(sentence: Sentence) -> tuple[Span, ...]:
        asked = [piece for _, piece in pieces(sentence, listed)]
        found = {
            each.id: restore(policy, each.model_text, listed[each.id], nested=nested)
            for each in asked
        }
        return joined(sentence, found)

    return span_scores((sentence.entities, reached(sentence)) for sentence in sentences)
