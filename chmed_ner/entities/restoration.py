"""The four restoration policies.

Each takes the mentions in listed order and returns spans that do not overlap, in text order. They
differ in which occurrences of a mention they take, and in what order mentions compete for the same
characters.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chmed_ner.entities.types import Mention, Scores, Sentence, Span
from chmed_ner.errors import InputError

Spans = tuple[Span, ...]


def occurrences(text: str, mention: str) -> Iterable[int]:
    """Start offsets of `mention` in `text`, left to right, those that overlap each other too."""
    position = text.find(mention) if mention else -1
    while position >= 0:
        yield position
        position = text.find(mention, position + 1)


class _Page:
    """The characters of one sentence that are still free, and the spans taken so far."""

    def __init__(self, length: int) -> None:
        self.taken = bytearray(length)
        self.spans: list[Span] = []

    def take(self, start: int, mention: Mention) -> None:
        """Accept the span unless it overlaps an accepted one."""
        end = start + len(mention.text)
        if not any(self.taken[start:end]):
            self.taken[start:end] = b"\1" * (end - start)
            self.spans.append(Span(start, end, mention.type))


def longest_first(text: str, mentions: Sequence[Mention]) -> Spans:
    """Distinct pairs, longest first (ties in listed order), every occurrence that is still free."""
    return all_occurrences(text, sorted(mentions, key=lambda mention: -len(mention.text)))


def all_occurrences(text: str, mentions: Sequence[Mention]) -> Spans:
    """Distinct pairs in listed order, every occurrence that is still free."""
    page = _Page(len(text))
    for mention in dict.fromkeys(mentions):
        for start in occurrences(text, mention.text):
            page.take(start, mention)
    return tuple(sorted(page.spans))


def first(text: str, mentions: Sequence[Mention]) -> Spans:
    """Distinct pairs in listed order, only the leftmost occurrence, skipped where it overlaps."""
    page = _Page(len(text))
    for mention in dict.fromkeys(mentions):
        start = text.find(mention.text) if mention.text else -1
        if start >= 0:
            page.take(start, mention)
    return tuple(sorted(page.spans))


def in_order(text: str, mentions: Sequence[Mention]) -> Spans:
    """The list with its repeats, each searched from the end of the last match."""
    cursor = 0
    spans: list[Span] = []
    for mention in mentions:
        start = text.find(mention.text, cursor) if mention.text else -1
        if start >= 0:
            cursor = start + len(mention.text)
            spans.append(Span(start, cursor, mention.type))
    return tuple(spans)


POLICIES: dict[str, Callable[[str, Sequence[Mention]], Spans]] = {
    "longest_first": longest_first,
    "all_occurrences": all_occurrences,
    "first": first,
    "in_order": in_order,
}
"""Every policy by its name in the configuration and in metric names."""


def restore(policy: str, text: str, mentions: Sequence[Mention]) -> Spans:
    """The spans of `mentions` in `text` by the policy named; KeyError for an unknown name.

    `text` and the mentions must be in the same script; as a script step keeps lengths, the spans
    hold in the original text too.
    """
    return POLICIES[policy](text, mentions)


def gold_mentions(sentence: Sentence) -> tuple[Mention, ...]:
    """The gold mentions as the model reads them (`model_text`), in text order, with repeats.

    Raises InputError where the text the model reads is not as long as the original.
    """
    text = sentence.model_text
    if len(text) != len(sentence.text):
        raise InputError(
            f"sentence {sentence.id}: the model's text has {len(text)} characters, the original "
            f"{len(sentence.text)}; run the script step first"
        )
    return tuple(Mention(text[span.start : span.end], span.type) for span in sentence.entities)


def ceiling(policy: str, sentences: Iterable[Sentence]) -> Scores:
    """What no model can exceed with the policy: gold mentions in text order with repeats, restored.

    It is a figure of corpus and policy alone, so it is taken in the original script. (In the
    simplified script some characters fall together, and it moves by up to 0.02 points.) KeyError
    for an unknown policy.
    """
    gold = predicted = correct = 0
    for sentence in sentences:
        entities = set(sentence.entities)
        mentions = [Mention(sentence.mention(span), span.type) for span in sentence.entities]
        spans = restore(policy, sentence.text, mentions)
        gold += len(entities)
        predicted += len(spans)
        correct += len(entities.intersection(spans))
    return Scores(gold, predicted, correct)


@dataclass(frozen=True)
class Headline:
    """The policy whose score is a run's headline; every run scores the others too."""

    policy: str

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise InputError(
                f"restoration.policy={self.policy!r}: choose one of {', '.join(POLICIES)}"
            )
