"""Scores of parts of the entities: by length, by sentence length, seen or unseen, one character.

Every gold and every predicted entity falls into the part of its own string or sentence, so the
parts of a breakdown add up to the scores of all of them. A prediction with a wrong boundary may
therefore cost recall in one part and precision in another.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from chmed_ner.entities.types import Scores, Span

ENTITY_LENGTHS = (1, 2, 3, 4, 5, 7, 10)
"""Code points: the longest of each bucket; longer ones share the last bucket."""

SENTENCE_LENGTHS = (20, 40, 60, 80, 100, 120)
"""Code points, likewise."""

SEEN, UNSEEN = "seen", "unseen"

Part = TypeVar("Part", bound=Hashable)


class ScoredSentence(NamedTuple):
    """A sentence of the test split: its text, its gold entities, the predicted ones."""

    text: str
    gold: Sequence[Span]
    predicted: Sequence[Span]


def scores_by(
    sentences: Iterable[ScoredSentence], part: Callable[[str, Span], Part | None]
) -> dict[Part, Scores]:
    """The scores of each part, where `part` names that of a span in its text (None: of none).

    Only parts with an entity, gold or predicted, are there, in the order in which they are met.
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
    """The scores on strings `seen` and `unseen` in training.

    Every gold and every predicted entity is put on one side by its own characters: seen when some
    entity of the training split, of whatever type, has the very same string. So the two sides add
    up to `span_scores`, and a wrong boundary may cost recall on one side and precision on the
    other. `training_mentions` must be in the script of the texts.
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
