"""Confidences against gold: how far they keep their word, and how well they rank."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from chmed_ner.entities import Sentence, Span

BINS, BIN_SIZE = 10, 200
"""The most bins, and the least entities of one on the average: chance alone moves few by points."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A predicted entity with its confidence (0 to 1), and whether gold has it."""

    type: str
    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class JudgedSentence:
    """A sentence of `gold` entities, with those predicted in it that have a confidence."""

    id: str
    split: str
    genre: str
    gold: int
    entities: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """Entities of like confidence: how many, their mean confidence, the share that is right."""

    entities: int
    confidence: float
    right: float


def judge(
    sentences: Iterable[Sentence], spans: Mapping[str, Sequence[Span]]
) -> list[JudgedSentence]:
    """The entities predicted in each sentence, by its id, held against its gold."""
    return [
        JudgedSentence(
            each.id,
            each.split,
            each.genre,
            len(set(each.entities)),
            tuple(
                Judged(span.type, span.confidence, span in each.entities)
                for span in dict.fromkeys(spans[each.id])
                if span.confidence is not None
            ),
        )
        for each in sentences
    ]


def entities_of(sentences: Iterable[JudgedSentence]) -> list[Judged]:
    """The entities of all sentences, in their order."""
    return [entity for each in sentences for entity in each.entities]


def bins(entities: Sequence[Judged]) -> list[Bin]:
    """The entities by confidence in up to `BINS` bins of equal mass; equal confidences share one.

    Equal mass: Nixon et al. 2019, Measuring Calibration in Deep Learning.
    """
    number = max(1, min(BINS, len(entities) // BIN_SIZE))
    found, members, done = list[Bin](), list[Judged](), 0
    for _, group in groupby(sorted(entities, key=_confidence), _confidence):
        members += group
        if (done + len(members)) * number >= (len(found) + 1) * len(entities):
            mean = sum(map(_confidence, members)) / len(members)
            found.append(Bin(len(members), mean, sum(e.right for e in members) / len(members)))
            members, done = [], done + len(members)
    return found


def calibration_error(entities: Sequence[Judged]) -> float:
    """The expected calibration error in percentage points, 0 without entities.

    The mean over entities of the difference, in their bin, of mean confidence and share that is
    right (Guo et al. 2017, On Calibration of Modern Neural Networks).
    """
    gaps = sum(each.entities * abs(each.confidence - each.right) for each in bins(entities))
    return 100 * gaps / max(1, len(entities))


def brier_score(entities: Sequence[Judged]) -> float:
    """The mean squared difference (0 to 1) of confidence and what came true (Brier 1950)."""
    return sum((e.confidence - e.right) ** 2 for e in entities) / max(1, len(entities))


def average_precision(entities: Sequence[Judged], gold: int) -> float:
    """The area in percent under the curve of precision over recall, as a threshold on the
    confidence falls; recall is of all `gold` entities, so what nobody predicts is lost."""
    kept, right, area = 0, 0, 0.0
    for _, group in groupby(sorted(entities, key=_confidence, reverse=True), _confidence):
        members = list(group)
        new = sum(e.right for e in members)
        kept, right = kept + len(members), right + new
        area += new * right / kept
    return 100 * area / max(1, gold)


def _confidence(entity: Judged) -> float:
    return entity.confidence
