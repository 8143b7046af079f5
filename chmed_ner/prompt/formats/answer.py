"""What every answer format offers: `write` and `parse`, inverses of each other."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from chmed_ner.entities.grammar import Grammar
from chmed_ner.entities.labels import LabelScheme, folded
from chmed_ner.entities.types import Mention, Sentence, Span

PROBLEMS = (
    "unparsable_line",
    "unknown_label",
    "not_in_sentence",
    "repeated_line",
    "altered_copy",
    "repaired",
    "truncated",
    "empty",
    "refused",
)
"""Every reason for which a piece of a completion is not used (or not fully), always logged.
chmed_ner/prompt/README.md says what each counts."""

_NONE = frozenset({"无", "無", "没有", "沒有", "none"})
_LONGEST_NONE = 12


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion understood: the mentions in listed order, and its problems counted by reason.

    A mention that the sentence does not hold stays in the list (it counts against mention F1) and
    is counted as `not_in_sentence`; nothing can place it.

    `spans` are the entities' places where the format carries them (bio, inline): in text order,
    without overlaps, in code points of the sentence. No restoration policy touches them. None where
    only restoration can place the mentions. `placed_characters` is then None too; else the number
    of the sentence's characters that the completion has read out with a tag or within a copy.
    """

    mentions: tuple[Mention, ...]
    problems: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    spans: tuple[Span, ...] | None = None
    placed_characters: int | None = field(default=None, compare=False)


class AnswerFormat(ABC):
    """A way of writing a sentence's entities down."""

    @abstractmethod
    def gold(self, sentence: Sentence) -> Answer:
        """What a perfect model says of `sentence`, in the model's script, in `write`'s order."""

    @abstractmethod
    def write(self, answer: Answer, sentence: str, labels: LabelScheme, script: str) -> str:
        """The completion that says `answer` of `sentence` (the text the model reads)."""

    @abstractmethod
    def parse(self, text: str, sentence: str, labels: LabelScheme) -> Answer:
        """What `text` says of `sentence` (the text the model read). Never raises."""

    def grammar(
        self,
        sentence: str,  # noqa: ARG002
        labels: LabelScheme,  # noqa: ARG002
        script: str,  # noqa: ARG002
        *,
        in_order: bool,  # noqa: ARG002
    ) -> Grammar | None:
        """The answers to `sentence` that `parse` reads without a problem; None where the format has
        no grammar. With `in_order`, mentions come in the order of the text."""
        return None

    def room(self, characters: int, longest_name: int) -> int:  # noqa: ARG002
        """How long an answer to a sentence may get, on the scale of a decoding's cap: the number of
        characters of a sentence whose extraction answer is as long. Both arguments are in code
        points."""
        return characters


def without_entities(text: str) -> Answer | None:
    """The answer of a completion that is blank or the word for none; None for any other text."""
    if not text.strip():
        return Answer((), {"empty": 1}, (), 0)
    if len(text) <= _LONGEST_NONE and folded(text).strip("。.") in _NONE:
        return Answer((), {}, (), 0)
    return None
