"""What every answer format offers: `write` and `parse`, inverses of each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from chmed_ner.labels import LabelScheme
from chmed_ner.types import Mention, Sentence

PROBLEMS = (
    "unparsable_line",
    "unknown_label",
    "not_in_sentence",
    "repeated_line",
    "truncated",
    "empty",
    "refused",
)
"""Every reason for which a piece of a completion is not used (or not fully), always logged."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion understood: the mentions in listed order, and its problems counted by reason.

    A mention that the sentence does not hold stays in the list (it counts against mention F1) and
    is counted as `not_in_sentence`; restoration cannot place it.
    """

    mentions: tuple[Mention, ...]
    problems: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class AnswerFormat(Protocol):
    """A way of writing a sentence's entities down."""

    def mentions(self, sentence: Sentence) -> tuple[Mention, ...]:
        """The gold mentions that `write` lists for `sentence`, in order, in the model's script."""

    def write(self, mentions: Sequence[Mention], labels: LabelScheme, script: str) -> str:
        """The answer for `mentions`."""

    def parse(self, text: str, sentence: str, labels: LabelScheme) -> Answer:
        """What `text` says of `sentence` (the text the model read). Never raises."""
