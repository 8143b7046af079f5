"""What every answer format offers: `write` and `parse`, inverses of each other; and what those
that copy the sentence, and so carry the entities' places, have in common."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from types import MappingProxyType
from typing import ClassVar

from chmed_ner.entities import (
    Grammar,
    LabelScheme,
    Mention,
    Sentence,
    Span,
    chunks,
    gold_mentions,
    in_text_order,
    layers,
    nestable,
)
from chmed_ner.prompt.formats.alignment import place
from chmed_ner.prompt.formats.nothing import means_none

PROBLEMS = (
    "unparsable_line",
    "unknown_label",
    "not_in_sentence",
    "repeated_line",
    "none_word",
    "altered_copy",
    "repaired",
    "draft",
    "truncated",
    "empty",
    "refused",
    "unread",
    "cut",
    "off_grammar",
)
"""Every reason for which a piece of a completion is not used (or not fully), always logged.
chmed_ner/prompt/README.md says what each counts."""


Stretches = tuple[tuple[int, int], ...]
"""Parts `[start, end)` of an answer's text, in code points."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion understood: the mentions in listed order, and its problems counted by reason.

    A mention that the sentence does not hold stays, counted as `not_in_sentence`. Where the format
    carries places, `spans` are the entities (in text order, none across another, in code points)
    and `placed_characters` how many characters of the sentence were copied; else both are None.
    `read_at` says where in the answer the mentions were read, as far as it is known; spans are the
    first of them.
    """

    mentions: tuple[Mention, ...]
    problems: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    spans: tuple[Span, ...] | None = None
    placed_characters: int | None = field(default=None, compare=False)
    read_at: tuple[Stretches, ...] = field(default=(), compare=False)

    @property
    def unread(self) -> bool:
        """Does the answer name nothing, and not say either that there is nothing?"""
        if self.spans is not None and self.placed_characters:
            return False
        return not self.mentions and bool(self.problems.keys() - {"none_word", "repaired"})


class AnswerFormat(ABC):
    """A way of writing a sentence's entities down."""

    nests: ClassVar[bool] = True
    """Can it say that an entity lies inside another?"""

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
        self, sentence: str, labels: LabelScheme, script: str, in_order: bool
    ) -> Grammar | None:
        """The answers that `parse` reads without a problem, words for none apart, with mentions in
        the order of the text if `in_order`; None where the format has no grammar."""
        return None

    def room(self, characters: int, longest_name: int) -> int:
        """How long an answer may get: the characters of a sentence whose extraction answer is as
        long. All in code points."""
        return characters


def without_entities(text: str) -> Answer | None:
    """The answer of a completion that is blank or the word for none; None for any other text."""
    if not text.strip():
        return Answer((), {"empty": 1}, (), 0)
    if means_none(text):
        return Answer((), {}, (), 0)
    return None


DEEPEST = 4
"""How many layers of entities a copy can mark; CMeEE has up to three."""

TaggedCopy = tuple[str, Sequence[Sequence[str]], Sequence[int]]
"""What an answer has copied, and a BIO tag for each of its characters; of entities that nest a
layer of tags after the other, from the outermost in. And where in the answer each character is."""


class CopyFormat(AnswerFormat):
    """A format whose answer holds every character of the sentence."""

    most_marks: ClassVar[int]
    """Characters that an answer spends on one of the copy, at most, without a category's name."""

    def gold(self, sentence: Sentence) -> Answer:
        """The entities, but for one across another or too deep inside, which no copy can say."""
        said = layers(nestable(sentence.entities))[:DEEPEST]
        kept = replace(sentence, entities=in_text_order(chain.from_iterable(said)))
        return Answer(gold_mentions(kept), spans=kept.entities)

    def parse(self, text: str, sentence: str, labels: LabelScheme) -> Answer:
        """The entities of `text` on `sentence`; what comes after three copies counts as altered."""
        if (nothing := without_entities(text)) is not None:
            return nothing
        problems: Counter[str] = Counter()
        most = 3 * len(sentence) + 32
        readable = text[: most * (labels.longest + self.most_marks)]
        copy, (tags, *inner), places = self.read(readable, labels, problems)
        unread = len(text) - len(readable) + max(0, len(copy) - most)
        placed = place(copy[:most], tags[:most], sentence, [layer[:most] for layer in inner])
        found = [Mention(sentence[span.start : span.end], span.type) for span in placed.spans]
        known = set(found)
        lost = [mention for mention in dict.fromkeys(placed.lost) if mention not in known]
        problems["altered_copy"] = placed.edits + unread
        problems["not_in_sentence"] = len(lost)
        problems["repeated_line"] += len(placed.lost) - len(lost)
        counted = {reason: n for reason, n in problems.items() if n}
        marked = [span for layer in (tags, *inner) for span in chunks(layer)]
        read_at = tuple(
            self.stretches(placed.origins[span], readable, places, marked)
            if span in placed.origins
            else ()
            for span in placed.spans
        )
        return Answer((*found, *lost), counted, placed.spans, placed.characters, read_at)

    @abstractmethod
    def read(self, text: str, labels: LabelScheme, problems: Counter[str]) -> TaggedCopy:
        """The copy in `text`, with the tags that it has there, at least one layer of them."""

    @abstractmethod
    def stretches(
        self, span: Span, text: str, places: Sequence[int], marked: Sequence[Span]
    ) -> Stretches:
        """Where `text` says a span of the copy, of all that are `marked`; the copy's characters
        are at `places`."""
