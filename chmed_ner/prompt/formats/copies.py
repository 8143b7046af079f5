"""Answers that copy the sentence and so carry the entities' places: see `alignment`."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.restoration import gold_mentions
from chmed_ner.entities.types import Mention, Sentence
from chmed_ner.prompt.formats.alignment import place
from chmed_ner.prompt.formats.answer import Answer, AnswerFormat, without_entities


class CopyFormat(AnswerFormat):
    """A format whose answer holds every character of the sentence."""

    most_marks: ClassVar[int]
    """Characters that an answer spends on one of the copy, at most, without a category's name."""

    def gold(self, sentence: Sentence) -> Answer:
        """The gold spans."""
        return Answer(gold_mentions(sentence), spans=sentence.entities)

    def parse(self, text: str, sentence: str, labels: LabelScheme) -> Answer:
        """The entities of `text` on `sentence`. What comes after three copies is not read, and
        counts as altered."""
        if (nothing := without_entities(text)) is not None:
            return nothing
        problems: Counter[str] = Counter()
        most = 3 * len(sentence) + 32
        readable = text[: most * (labels.longest + self.most_marks)]
        copy, tags = self.read(readable, labels, problems)
        unread = len(text) - len(readable) + max(0, len(copy) - most)
        return _placed_answer(copy[:most], tags[:most], sentence, problems, unread)

    @abstractmethod
    def read(
        self, text: str, labels: LabelScheme, problems: Counter[str]
    ) -> tuple[str, Sequence[str]]:
        """The copy in `text`, and a BIO tag for each of its characters."""


def _placed_answer(
    copy: str, tags: Sequence[str], sentence: str, problems: Mapping[str, int], unread: int
) -> Answer:
    """The entities that `tags` mark in `copy`, on `sentence`. What `place` cannot use is counted
    with the other `problems`; `unread` is the number of characters that were not looked at."""
    placed = place(copy, tags, sentence)
    found = [Mention(sentence[span.start : span.end], span.type) for span in placed.spans]
    known = set(found)
    lost = [mention for mention in dict.fromkeys(placed.lost) if mention not in known]
    counted = {
        "altered_copy": placed.edits + unread,
        "not_in_sentence": len(lost),
        "repeated_line": len(placed.lost) - len(lost),
    }
    return Answer(
        (*found, *lost),
        {reason: n for reason, n in {**problems, **counted}.items() if n},
        placed.spans,
        placed.characters,
    )
