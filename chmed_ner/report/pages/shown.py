"""A sentence as a page shows it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chmed_ner.entities import Completion, Sentence, Span
from chmed_ner.errors import InputError


@dataclass(frozen=True, slots=True)
class ShownEntity:
    """An entity of a sentence: its kind (an index), its types, whether its string was seen in
    training and how sure the model was of it, 0 to 1 (None: not known)."""

    kind: int
    types: tuple[str, ...]
    seen: bool | None = None
    confidence: float | None = None


Note = tuple[str, Sequence[str]]
"""A remark on a sentence, and what it rests on."""


@dataclass(frozen=True, slots=True)
class ShownSentence:
    """A sentence: its lines of (span, mark), its entities, its completions by heading, notes."""

    sentence: Sentence
    lines: Sequence[Sequence[tuple[Span, int]]]
    entities: Sequence[ShownEntity]
    completions: Sequence[tuple[str, Completion]] = ()
    notes: Sequence[Note] = ()


def by_sentence(name: str, completions: Iterable[Completion]) -> dict[str, list[Any]]:
    """sentence id -> (`name`, completion) of each of its completions."""
    found: dict[str, list[Any]] = {}
    for completion in completions:
        found.setdefault(completion.id, []).append((name, completion))
    return found


def spans_of(spans: Mapping[str, Sequence[Span]], sentence: Sentence) -> Sequence[Span]:
    """The predicted entities of a sentence; InputError when there is no entry for it."""
    try:
        return spans[sentence.id]
    except KeyError:
        raise InputError(
            f"spans, sentence {sentence.id!r}: missing; give each sentence its predicted "
            "entities, an empty list where there are none"
        ) from None
