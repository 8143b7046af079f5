"""How a string is annotated wherever it occurs in a corpus."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chmed_ner.entities import Sentence, Span, StringIndex

PLAIN = ""
"""The type of an occurrence that is not annotated."""
EXAMPLES = 3
"""Of each type; one more where the place asked about is of another."""
AROUND = 12
"""Characters of an example on each side of the string."""


@dataclass(frozen=True, slots=True)
class Example:
    """An occurrence: the sentence's id, and the string with the characters around it."""

    id: str
    type: str
    before: str
    text: str
    after: str


@dataclass(frozen=True, slots=True)
class Usage:
    """A string elsewhere: how often as each type (`PLAIN`: not annotated), the most frequent first;
    how often inside a longer entity, where it is a part of another name; some examples."""

    text: str
    types: Mapping[str, int]
    inside: int
    examples: Sequence[Example]

    @property
    def occurrences(self) -> int:
        """How many there are, those inside longer entities apart."""
        return sum(self.types.values())


def use_of(sentence: Sentence, start: int, end: int) -> str | None:
    """The type of the entity `[start, end)`, `PLAIN` where there is none, None inside a longer
    entity."""
    longer = False
    for span in sentence.entities:
        if (span.start, span.end) == (start, end):
            return span.type
        longer = longer or (span.start <= start and end <= span.end)
    return None if longer else PLAIN


class Usages:
    """The occurrences of `strings` in `sentences`, in the script that a model reads."""

    def __init__(self, sentences: Sequence[Sentence], strings: Iterable[str]) -> None:
        self._counts: defaultdict[str, Counter[str | None]] = defaultdict(Counter)
        self._places: defaultdict[tuple[str, str], list[tuple[Sentence, int]]] = defaultdict(list)
        index = StringIndex(strings)
        for sentence in sentences:
            text = sentence.model_text
            for start in range(len(text)):
                for string in index.at(text, start):
                    use = use_of(sentence, start, start + len(string))
                    self._counts[string][use] += 1
                    if use is not None:
                        places = self._places[string, use]
                        if len(places) <= EXAMPLES:  # one more: the place asked about is left out
                            places.append((sentence, start))

    def elsewhere(self, sentence: Sentence, span: Span) -> Usage:
        """How the string of `span` is annotated at every other place."""
        string = sentence.model_text[span.start : span.end]
        counts = self._counts[string].copy()
        counts[use_of(sentence, span.start, span.end)] -= 1
        types = {use: count for use, count in counts.most_common() if use is not None and count > 0}
        own = (sentence.id, span.start)
        examples = [
            example(other, start, start + len(string), use)
            for use in types
            for other, start in self._places[string, use]
            if (other.id, start) != own
        ]
        return Usage(sentence.mention(span), types, counts[None], examples)


def example(sentence: Sentence, start: int, end: int, type_: str) -> Example:
    """The occurrence `[start, end)` with what is around it."""
    text = sentence.text
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    return Example(sentence.id, type_, before, text[start:end], after)
