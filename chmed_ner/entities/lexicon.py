"""A lexicon of mention strings: how often each is an entity where it occurs, and as what type.

How sure a match is, is the share of the string's occurrences that are an entity of its type, drawn
towards what strings are in general: (annotated + a) / (occurrences + a + b). The Beta prior (a, b)
is what best predicts each occurrence in training from the other ones of its string (Ney, Essen and
Kneser 1995, *On the Estimation of "Small" Probabilities by Leaving-One-Out*).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from chmed_ner.entities.types import Sentence, Span


class Entry(NamedTuple):
    """A string's majority type, the share of its occurrences that are an entity (0 to 1), and how
    probable an entity of this type is at another one."""

    type: str
    probability: float
    confidence: float


class Match(NamedTuple):
    """An occurrence `[start, end)` of a lexicon string."""

    start: int
    end: int
    entry: Entry


class StringIndex:
    """Finds the occurrences of a fixed set of strings, those that overlap too."""

    def __init__(self, strings: Iterable[str]) -> None:
        self._strings = frozenset(strings) - {""}
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        for string in self._strings:
            lengths[string[0]].add(len(string))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def at(self, text: str, start: int) -> Iterator[str]:
        """The strings that begin at `start`, longest first."""
        for length in self._lengths.get(text[start], ()):
            candidate = text[start : start + length]
            if len(candidate) == length and candidate in self._strings:
                yield candidate

    def everywhere(self, text: str) -> Iterator[str]:
        """Every occurrence of every string, as the string."""
        for start in range(len(text)):
            yield from self.at(text, start)


@dataclass(frozen=True)
class MentionCounts:
    """How often each string is an entity of each type, and how often it occurs at all."""

    entities: Mapping[str, Counter[str]]
    occurrences: Counter[str]

    def without(self, part: "MentionCounts") -> "MentionCounts":
        """These counts less those of a part of the same sentences (the rest of a fold)."""
        entities = {
            string: Counter({t: n - part.entities[string][t] for t, n in types.items()})
            if string in part.entities
            else types
            for string, types in self.entities.items()
        }
        kept = {string: +types for string, types in entities.items() if any(types.values())}
        return MentionCounts(
            kept, Counter({s: self.occurrences[s] - part.occurrences[s] for s in kept})
        )

    def lexicon(self, types: Sequence[str]) -> "Lexicon":
        """The lexicon of these counts; among types met equally often the first in `types` wins."""
        rank = {type_: place for place, type_ in enumerate(types)}
        best = {
            string: min(by_type, key=lambda type_: (-by_type[type_], rank[type_]))
            for string, by_type in self.entities.items()
        }
        counts = {s: (self.entities[s][best[s]], self.occurrences[s]) for s in best}
        yes, no = beta_prior(counts.values())
        return Lexicon(
            {
                string: Entry(
                    best[string],
                    self.entities[string].total() / occurrences,
                    (annotated + yes) / (occurrences + yes + no),
                )
                for string, (annotated, occurrences) in counts.items()
            }
        )


ROUNDS = 1000
CLOSE = 1e-6


def beta_prior(counts: Iterable[tuple[int, int]]) -> tuple[float, float]:
    """The Beta prior (a, b) of the leave-one-out likelihood of `counts`: for each string how often
    it is annotated (once at least), and how often it occurs.

    The fixed-point iteration of Minka 2000, *Estimating a Dirichlet distribution*. An annotated
    occurrence counts where another one would have put the string into the lexicon. As in Laplace's
    rule one occurrence of either kind is added to them, of a string seen once before.
    """
    kinds = [(1, 2, 2, 1, 0), (1, 1, 2, 0, 1)]
    for (annotated, occurrences), many in sorted(Counter(counts).items()):
        again = annotated if annotated > 1 else 0
        if again or occurrences > annotated:
            kinds.append((many, annotated, occurrences, again, occurrences - annotated))
    yes, no = 1.0, 1.0
    for _ in range(ROUNDS):
        seen = sum(many * (y + n) / (all_ - 1 + yes + no) for many, _, all_, y, n in kinds)
        more = sum(many * y / (annotated - 1 + yes) for many, annotated, _, y, _ in kinds if y)
        less = sum(many * n / (n - 1 + no) for many, _, _, _, n in kinds if n)
        before, yes, no = (yes, no), yes * more / seen, no * less / seen
        if max(abs(yes - before[0]), abs(no - before[1])) < CLOSE * (yes + no):
            break
    return yes, no


def mention_strings(sentences: Iterable[Sentence]) -> frozenset[str]:
    """The distinct gold mentions, in the script the model reads."""
    return frozenset(s.model_text[e.start : e.end] for s in sentences for e in s.entities)


def count_mentions(sentences: Iterable[Sentence], index: StringIndex) -> MentionCounts:
    """The counts of `sentences`; the strings of `index` count inside a longer entity too."""
    entities: defaultdict[str, Counter[str]] = defaultdict(Counter)
    occurrences: Counter[str] = Counter()
    for sentence in sentences:
        for span in sentence.entities:
            entities[sentence.model_text[span.start : span.end]][span.type] += 1
        occurrences.update(index.everywhere(sentence.model_text))
    return MentionCounts(dict(entities), occurrences)


class Lexicon(StringIndex):
    """Strings with their entries."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        super().__init__(entries)
        self.entries = entries

    def matches(self, text: str) -> Iterator[Match]:
        """Every occurrence of every string, by start, the longest of a start first."""
        for start in range(len(text)):
            for string in self.at(text, start):
                yield Match(start, start + len(string), self.entries[string])

    def longest_matches(self, text: str, threshold: float) -> tuple[Match, ...]:
        """The longest match of strings whose probability reaches `threshold`, left to right."""
        found: list[Match] = []
        end = 0
        for match in self.matches(text):
            if match.start >= end and match.entry.probability >= threshold:
                found.append(match)
                end = match.end
        return tuple(found)

    def spans(self, text: str, threshold: float) -> tuple[Span, ...]:
        """The longest matches as entities, in text order."""
        return tuple(
            Span(match.start, match.end, match.entry.type, match.entry.confidence)
            for match in self.longest_matches(text, threshold)
        )

    def judged(self, text: str, spans: Iterable[Span]) -> tuple[Span, ...]:
        """The entities with the confidence of their strings, 0 for one of another type, None for
        one that is not known."""
        known = {each: self.entries.get(text[each.start : each.end]) for each in spans}
        return tuple(
            replace(each, confidence=entry and entry.confidence * (entry.type == each.type))
            for each, entry in known.items()
        )


def entries_as_json(lexicon: Lexicon) -> dict[str, list[Any]]:
    """`{string: [type, probability, confidence]}`, in alphabetical order."""
    return {string: list(entry) for string, entry in sorted(lexicon.entries.items())}


def entries_from_json(content: Mapping[str, Sequence[Any]]) -> Lexicon:
    """The lexicon that `entries_as_json` wrote; ValueError or the like for anything else."""
    return Lexicon(
        {s: Entry(str(type_), float(p), float(sure)) for s, (type_, p, sure) in content.items()}
    )
