"""Errors by kind, and scores of parts of the entities: by length, seen or unseen, one character.

Every gold and every predicted entity falls into the part of its own string or sentence, so the
parts of a breakdown add up. A prediction with a wrong boundary may therefore cost recall in one
part and precision in another.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

from chmed_ner.entities import Scores, Span
from chmed_ner.score.spans import nesting_scores

ENTITY_LENGTHS = (1, 2, 3, 4, 5, 7, 10)
"""Code points: the longest of each bucket; longer ones share the last bucket."""

SENTENCE_LENGTHS = (20, 40, 60, 80, 100, 120)
"""Code points, likewise."""

SEEN, UNSEEN = "seen", "unseen"

ALL = "all"
"""The genre that stands for all of them together."""

Part = TypeVar("Part", bound=Hashable)


class ScoredSentence(NamedTuple):
    """A sentence of the test split: its text, its gold entities, the predicted ones."""

    text: str
    gold: Sequence[Span]
    predicted: Sequence[Span]


def scores_by(
    sentences: Iterable[ScoredSentence], part: Callable[[str, Span], Part | None]
) -> dict[Part, Scores]:
    """The scores of each part that has an entity; `part` names that of a span in its text (None: of
    none).
    """
    gold: Counter[Part] = Counter()
    predicted: Counter[Part] = Counter()
    correct: Counter[Part] = Counter()
    for text, wanted, given in sentences:
        for span in dict.fromkeys((*wanted, *given)):
            found = part(text, span)
            if found is not None:
                gold[found] += span in wanted
                predicted[found] += span in given
                correct[found] += span in wanted and span in given
    return {each: Scores(gold[each], predicted[each], correct[each]) for each in gold}


@lru_cache
def bucket_names(ends: tuple[int, ...]) -> tuple[str, ...]:
    """The buckets in order: (1, 2, 5) has `1`, `2`, `3–5` and `6+`."""
    starts = (1, *(end + 1 for end in ends))
    named = [
        f"{start}" if start == end else f"{start}–{end}"
        for start, end in zip(starts[:-1], ends, strict=True)
    ]
    return (*named, f"{starts[-1]}+")


def bucket(length: int, ends: tuple[int, ...]) -> str:
    """The name of the bucket that `length` (1 or more) falls into."""
    return bucket_names(ends)[bisect_left(ends, length)]


def by_entity_length(sentences: Iterable[ScoredSentence]) -> dict[str, Scores]:
    """The scores of each bucket of `ENTITY_LENGTHS`, in order, empty ones included."""
    found = scores_by(sentences, lambda _, span: bucket(span.end - span.start, ENTITY_LENGTHS))
    return _in_order(found, bucket_names(ENTITY_LENGTHS))


def by_sentence_length(sentences: Iterable[ScoredSentence]) -> dict[str, Scores]:
    """The scores of each bucket of `SENTENCE_LENGTHS`, in order, empty ones included."""
    found = scores_by(sentences, lambda text, _: bucket(len(text), SENTENCE_LENGTHS))
    return _in_order(found, bucket_names(SENTENCE_LENGTHS))


def by_seen(
    sentences: Iterable[ScoredSentence], training_mentions: Collection[str]
) -> dict[str, Scores]:
    """The scores on strings `seen` and `unseen` in training, whatever their type there.

    `training_mentions` must be in the script of the texts.
    """
    known = frozenset(training_mentions)
    found = scores_by(
        sentences, lambda text, span: SEEN if text[span.start : span.end] in known else UNSEEN
    )
    return _in_order(found, (SEEN, UNSEEN))


def of_one_character(sentences: Iterable[ScoredSentence]) -> dict[tuple[str, str], Scores]:
    """The scores of each (string, type) of a single character, the most frequent in gold first."""

    def part(text: str, span: Span) -> tuple[str, str] | None:
        return (text[span.start], span.type) if span.end - span.start == 1 else None

    found = scores_by(sentences, part)
    return dict(
        sorted(found.items(), key=lambda item: (-item[1].gold, -item[1].predicted, item[0]))
    )


def _in_order(found: Mapping[str, Scores], names: Iterable[str]) -> dict[str, Scores]:
    return {name: found.get(name, Scores(0, 0, 0)) for name in names}


PAIRED = ("correct", "boundary", "type", "boundary_and_type")
ERROR_KINDS = (*PAIRED, "missed", "spurious")
"""Every class; gold = `PAIRED` and `missed`, predicted = `PAIRED` and `spurious`."""

Confusion = tuple[str | None, str | None, str]
"""Gold type, predicted type, kind."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """A gold entity and the predicted one that answers it; either is None where there is none."""

    kind: str
    gold: Span | None
    predicted: Span | None


def _candidates(gold: Sequence[Span], predicted: Sequence[Span]) -> Iterator[tuple[int, ...]]:
    for g, wanted in enumerate(gold):
        for p, given in enumerate(predicted):
            overlap = min(wanted.end, given.end) - max(wanted.start, given.start)
            same_span = (wanted.start, wanted.end) == (given.start, given.end)
            if same_span or overlap > 0:
                yield (wanted.type != given.type) + 2 * (not same_span), -overlap, g, p


def pairings(gold: Iterable[Span], predicted: Iterable[Span]) -> tuple[Pairing, ...]:
    """One sentence's entities, each in exactly one pairing, ordered by kind.

    Pairs are made in four rounds among the entities still free: same span and type (`correct`),
    same span (`type`), same type and an overlap (`boundary`), any overlap (`boundary_and_type`).
    Within a round the largest overlap goes first, then the leftmost gold entity, then the leftmost
    predicted one. What is left over is `missed` (gold) or `spurious` (predicted).
    """
    free_gold, free_predicted = sorted(gold), sorted(predicted)
    wanted: dict[int, Span] = dict(enumerate(free_gold))
    given: dict[int, Span] = dict(enumerate(free_predicted))
    kinds = ("correct", "type", "boundary", "boundary_and_type")
    found: list[Pairing] = []
    for round_, _, g, p in sorted(_candidates(free_gold, free_predicted)):
        if g in wanted and p in given:
            found.append(Pairing(kinds[round_], wanted.pop(g), given.pop(p)))
    found += [Pairing("missed", span, None) for span in wanted.values()]
    found += [Pairing("spurious", None, span) for span in given.values()]
    return tuple(found)


def error_kinds(gold: Iterable[Span], predicted: Iterable[Span]) -> Mapping[str, int]:
    """How many pairings of one sentence are of each of `KINDS`."""
    found = Counter(pairing.kind for pairing in pairings(gold, predicted))
    return {kind: found[kind] for kind in ERROR_KINDS}


def confusions(gold: Iterable[Span], predicted: Iterable[Span]) -> Counter[Confusion]:
    """How many pairings of one sentence are of each (gold type, predicted type, kind)."""
    return Counter(
        (
            pairing.gold.type if pairing.gold else None,
            pairing.predicted.type if pairing.predicted else None,
            pairing.kind,
        )
        for pairing in pairings(gold, predicted)
    )


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One genre's test sentences, taken apart; `nesting` as `nesting_scores`."""

    confusions: Mapping[Confusion, int]
    entity_length: Mapping[str, Scores]
    sentence_length: Mapping[str, Scores]
    seen: Mapping[str, Scores]
    one_character: Mapping[tuple[str, str], Scores]
    nesting: Mapping[str, Scores]


def break_down(
    sentences: Sequence[ScoredSentence], training_mentions: Collection[str]
) -> Breakdown:
    """Every breakdown of these sentences."""
    found: Counter[Confusion] = Counter()
    for sentence in sentences:
        found.update(confusions(sentence.gold, sentence.predicted))
    return Breakdown(
        found,
        by_entity_length(sentences),
        by_sentence_length(sentences),
        by_seen(sentences, training_mentions),
        of_one_character(sentences),
        nesting_scores((sentence.gold, sentence.predicted) for sentence in sentences),
    )


def by_kind(found: Mapping[Confusion, int], side: int, type_: str | None) -> list[int]:
    """The entities of a type (None: of all) of gold (side 0) or prediction (1), and how many of
    them are correct, boundary, type, boundary_and_type, and missed (gold) or spurious (predicted).
    """
    counts = Counter[str]()
    for confusion, count in found.items():
        if confusion[side] is not None and type_ in (None, confusion[side]):
            counts[confusion[2]] += count
    parts = [counts[kind] for kind in (*PAIRED, ERROR_KINDS[4 + side])]
    return [sum(parts), *parts]
