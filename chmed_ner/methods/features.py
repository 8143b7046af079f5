"""What the CRF sees of each character: n-grams, classes, brackets, lexicon matches.

Every feature is a string that either holds or does not. Features that come from a lexicon must be
computed with one that was not built on the sentence itself: see `chmed_ner.methods.crf`.
"""

import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from chmed_ner.entities.lexicon import (
    Lexicon,
    Match,
    StringIndex,
    count_mentions,
    mention_strings,
)
from chmed_ner.entities.types import Sentence

Rows = list[list[str]]
"""The features that hold, one list a character."""

WINDOWS = (
    *((at, at) for at in range(-3, 4)),
    *((at, at + 1) for at in range(-3, 3)),
    *((at, at + 2) for at in range(-3, 2)),
    *((at, at + 3) for at in range(-3, 1)),
    (-4, 0), (-2, 2), (0, 4),
)  # fmt: skip
"""First and last offset of each character n-gram, up to five characters."""

PAD = 5
BEFORE, AFTER = "\x02" * PAD, "\x03" * PAD
OPENING, CLOSING = "（([「『【〔《〈", "）)]」』】〕》〉"
TRUSTED = 0.2
"""The share of its occurrences that must be entities before a string cuts the text into words."""


class SentenceFeatures:
    """Computes the features of sentences with one lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    def __call__(self, text: str) -> Rows:
        """The features of each character of `text`."""
        rows: Rows = [["bias"] for _ in text]
        _add_ngrams(rows, text)
        _add_classes(rows, text)
        _add_brackets(rows, text)
        _add_matches(rows, self.lexicon, text)
        return rows


def character_class(character: str) -> str:
    """A letter for the kind of a character: Han, digit, Latin, Greek, space, punctuation ..."""
    if "\u3400" <= character <= "\u9fff" or character >= "\U00020000":
        return "H"
    if character.isdigit():
        return "0"
    if character.isascii() and character.isalpha():
        return "A" if character.isupper() else "a"
    if "\u0370" <= character <= "\u03ff":
        return "g"
    if character.isspace():
        return "_"
    return unicodedata.category(character)[0]


def match_features(lexicon: Lexicon, text: str) -> Rows:
    """The features of each character of `text` that come from lexicon matches alone."""
    rows: Rows = [["-"] for _ in text]
    _add_matches(rows, lexicon, text)
    return [row[1:] for row in rows]


def _add_ngrams(rows: Rows, text: str) -> None:
    padded = BEFORE + text + AFTER
    for first, last in WINDOWS:
        name = f"{first}:{last}="
        for at, row in enumerate(rows, start=PAD):
            row.append(name + padded[at + first : at + last + 1])


def _add_classes(rows: Rows, text: str) -> None:
    classes = "^" * PAD + "".join(map(character_class, text)) + "$" * PAD
    for at, row in enumerate(rows, start=PAD):
        row.append("k=" + classes[at])
        row.append("k-1:1=" + classes[at - 1 : at + 2])
        row.append("k-2:2=" + classes[at - 2 : at + 3])
        if classes[at] in "aA0g":
            row.append("run=" + _run(padded=classes, at=at))


def _run(padded: str, at: int) -> str:
    """How a Latin or numeric run goes on to both sides of `at`, up to PAD characters."""
    left = next((n for n in range(PAD) if padded[at - n - 1] not in "aA0g"), PAD)
    right = next((n for n in range(PAD) if padded[at + n + 1] not in "aA0g"), PAD)
    return f"{left},{right}"


def _add_brackets(rows: Rows, text: str) -> None:
    opened: list[int] = []
    for at, character in enumerate(text):
        if character in OPENING:
            opened.append(at)
        elif character in CLOSING:
            if opened:
                opened.pop()
        elif opened:
            rows[at].append("bracketed")
            rows[at].append(f"bracketed {min(at - opened[-1], 4)}")


def _bucket(probability: float) -> int:
    return min(int(probability * 5), 4)


def _add_matches(rows: Rows, lexicon: Lexicon, text: str) -> None:
    for match in lexicon.longest_matches(text, TRUSTED):
        for name, at in _roles(match):
            rows[at].append(f"word={name}:{match.entry.type}")
            rows[at].append(f"word={name}:{match.entry.type}:{_bucket(match.entry.probability)}")
    before: list[str] = ["-", *(row[-1] if row[-1][:5] == "word=" else "-" for row in rows), "-"]
    for at, row in enumerate(rows):
        row.append(f"word-1={before[at]}")
        row.append(f"word+1={before[at + 2]}")
    longest_from: dict[int, Match] = {}
    longest_to: dict[int, Match] = {}
    for match in lexicon.matches(text):
        longest_from.setdefault(match.start, match)
        longest_to.setdefault(match.end - 1, match)
    for side, found in (("from", longest_from), ("to", longest_to)):
        for at, match in found.items():
            length = min(match.end - match.start, 5)
            type_, share = match.entry.type, _bucket(match.entry.probability)
            rows[at] += [f"{side}={length}:{type_}", f"{side}={length}:{share}"]


def _roles(match: Match) -> Iterator[tuple[str, int]]:
    if match.end - match.start == 1:
        yield "S", match.start
        return
    yield "B", match.start
    for at in range(match.start + 1, match.end - 1):
        yield "I", at
    yield "E", match.end - 1


def lexicon_of(sentences: Sequence[Sentence], types: Sequence[str]) -> Lexicon:
    """The lexicon of the sentences' mentions."""
    return count_mentions(sentences, StringIndex(mention_strings(sentences))).lexicon(types)


def out_of_fold_features(
    sentences: Sequence[Sentence],
    types: Sequence[str],
    folds: int,
    seed: int,
    features_with: Callable[[Lexicon], Callable[[str], Rows]] = SentenceFeatures,
) -> list[Rows]:
    """The features of each sentence, with a lexicon that its own fold has no part in.

    With a lexicon of all sentences, each entity of the training split would be a lexicon match, and
    the CRF would trust the lexicon more than it deserves on text that is new.
    """
    index = StringIndex(mention_strings(sentences))
    counts = count_mentions(sentences, index)
    found: dict[str, Rows] = {}
    for fold in folds_of(sentences, folds, seed):
        features = features_with(counts.without(count_mentions(fold, index)).lexicon(types))
        found |= {sentence.id: features(sentence.model_text) for sentence in fold}
    return [found[sentence.id] for sentence in sentences]


def folds_of(sentences: Sequence[Sentence], count: int, seed: int) -> list[list[Sentence]]:
    """The sentences in at most `count` folds drawn with `seed`, those of one text together."""
    texts = sorted({sentence.text for sentence in sentences})
    random.Random(f"folds {seed}").shuffle(texts)
    place = {text: number % count for number, text in enumerate(texts)}
    folds: list[list[Sentence]] = [[] for _ in range(count)]
    for sentence in sentences:
        folds[place[sentence.text]].append(sentence)
    return [fold for fold in folds if fold]
