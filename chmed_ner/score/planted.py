"""Errors planted in annotations, to see whether they are found again."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chmed_ner.entities import Sentence, Span

FATES = ("type", "boundary", "dropped", "made_up")
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
TRIES = 50


@dataclass(frozen=True, slots=True)
class Planted:
    """An error in the sentence `id`: what was annotated and what is now, None where nothing is."""

    id: str
    fate: str
    before: Span | None
    after: Span | None

    def touches(self, *spans: Span | None) -> bool:
        """Whether one of the spans overlaps the place."""
        return any(
            one is not None and other is not None and not _apart(one, [other])
            for one in (self.before, self.after)
            for other in spans
        )


def plant(
    sentences: Sequence[Sentence], types: Sequence[str], share: float, seed: int
) -> tuple[list[Sentence], list[Planted]]:
    """The sentences with errors in `share` of their entities (one of each fate at least), and them.

    In equal parts an entity gets another type, ends or starts a character further on or back, is
    dropped, or stays and another is made up in its sentence, of a length and a type that occur.
    """
    draw = random.Random(f"planted {seed}")
    places = [(at, span) for at, each in enumerate(sentences) for span in each.entities]
    fates = FATES if len(types) > 1 else FATES[1:]
    now = {at: list(each.entities) for at, each in enumerate(sentences)}
    planted: list[Planted] = []
    count = min(len(places), max(len(fates), round(share * len(places))))
    for number, (at, span) in enumerate(draw.sample(places, count)):
        fate, sentence, others = fates[number % len(fates)], sentences[at], now[at]
        if span not in others:
            continue
        before: Span | None = span
        after: Span | None = None
        if fate == "made_up":
            model = draw.choice(places)[1]
            before, after = None, _free(sentence, model, (*others, *sentence.entities), draw)
        else:
            others = [each for each in others if each != span]
        if fate == "type":
            after = replace(span, type=draw.choice([t for t in types if t != span.type]))
        elif fate == "boundary":
            after = _moved(sentence, span, others, draw)
        if after is not None or fate == "dropped":
            now[at] = [*others, *([after] if after else [])]
            planted.append(Planted(sentence.id, fate, before, after))
    return [annotated(each, now[at]) for at, each in enumerate(sentences)], planted


def annotated(sentence: Sentence, spans: Sequence[Span]) -> Sentence:
    """The sentence with these entities, without tags."""
    return replace(sentence, entities=tuple(sorted(spans)), tags=None)


def _apart(one: Span, spans: Sequence[Span]) -> bool:
    return all(one.end <= each.start or each.end <= one.start for each in spans)


def _free(
    sentence: Sentence, model: Span, taken: Sequence[Span], draw: random.Random
) -> Span | None:
    """An entity like `model` where none is or was, None where no place was found."""
    length = model.end - model.start
    room = len(sentence.text) - length + 1
    starts = [draw.randrange(room) for _ in range(TRIES)] if room > 0 else []
    found = (Span(start, start + length, model.type) for start in starts)
    return next((each for each in found if _apart(each, taken)), None)


def _moved(
    sentence: Sentence, span: Span, others: Sequence[Span], draw: random.Random
) -> Span | None:
    moved = [Span(span.start + left, span.end + right, span.type) for left, right in MOVES]
    fine = [
        each
        for each in moved
        if 0 <= each.start < each.end <= len(sentence.text) and _apart(each, others)
    ]
    return draw.choice(fine) if fine else None
