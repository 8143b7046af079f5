"""Errors by kind: each gold and each predicted entity in exactly one class, so that they add up."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chmed_ner.entities.types import Span

KINDS = ("correct", "boundary", "type", "boundary_and_type", "missed", "spurious")
"""Every class; gold = the first four and `missed`, predicted = the first four and `spurious`."""

Confusion = tuple[str | None, str | None, str]
"""Gold type, predicted type, kind."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """A gold entity and the predicted one that answers it; either is None where there is none."""

    kind: str
    gold: Span | None
    predicted: Span | None


def _overlap(gold: Span, predicted: Span) -> int:
    return min(gold.end, predicted.end) - max(gold.start, predicted.start)


def _candidates(gold: Sequence[Span], predicted: Sequence[Span]) -> Iterator[tuple[int, ...]]:
    """(round, minus the overlap, index in gold, index in predicted) of each pair that may match."""
    for g, wanted in enumerate(gold):
        for p, given in enumerate(predicted):
            overlap = _overlap(wanted, given)
            same_span = (wanted.start, wanted.end) == (given.start, given.end)
            same_type = wanted.type == given.type
            if same_span:
                yield (0 if same_type else 1), -overlap, g, p
            elif overlap > 0:
                yield (2 if same_type else 3), -overlap, g, p


def pairings(gold: Iterable[Span], predicted: Iterable[Span]) -> tuple[Pairing, ...]:
    """One sentence's entities, each in exactly one pairing, ordered by kind.

    Pairs are made in four rounds among the entities still free: same span and type (`correct`),
    same span (`type`), same type and an overlap (`boundary`), any overlap (`boundary_and_type`).
    Within a round the largest overlap goes first, then the leftmost gold entity, then the leftmost
    predicted one, so the order of the lists does not matter. What is left over is `missed` (gold)
    or `spurious` (predicted).
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
    """How many pairings of one sentence are of each of `KINDS`, by the rule of `pairings`."""
    found = Counter(pairing.kind for pairing in pairings(gold, predicted))
    return {kind: found[kind] for kind in KINDS}


def confusions(gold: Iterable[Span], predicted: Iterable[Span]) -> Counter[Confusion]:
    """How one sentence's entities were paired: (gold type, predicted type, kind) -> pairings.

    The gold type is None for `spurious`, the predicted type None for `missed`; so all that have a
    gold type are the gold entities, all that have a predicted type the predicted ones.
    """
    return Counter(
        (
            pairing.gold.type if pairing.gold else None,
            pairing.predicted.type if pairing.predicted else None,
            pairing.kind,
        )
        for pairing in pairings(gold, predicted)
    )
