"""What CRF and tagger know of each character: n-grams, classes, brackets, lexicon matches.

A feature is a string that either holds or does not. Those of a training sentence come from a
lexicon that was not built on the sentence itself: see `out_of_fold_features`.
"""

import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from chmed_ner.data import WordList
from chmed_ner.entities import (
    Lexicon,
    Match,
    Sentence,
    StringIndex,
    count_mentions,
    entries_as_json,
    entries_from_json,
    mention_strings,
)

Rows = list[list[str]]
"""The features that hold, one list a character."""
Lists = Mapping[str, Lexicon]
"""Word lists by name."""
NO_LISTS: Mapping[str, Any] = MappingProxyType({})

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


def sentence_features(lexicon: Lexicon, text: str, lists: Lists = NO_LISTS) -> Rows:
    """All features of each character of `text`."""
    rows: Rows = list(map(list, zip(["bias"] * len(text), *_ngrams(text), strict=True)))
    _add_classes(rows, text)
    _add_brackets(rows, text)
    _add_all_matches(rows, lexicon, text, lists)
    return rows


def match_features(lexicon: Lexicon, text: str, lists: Lists = NO_LISTS) -> Rows:
    """The features of each character of `text` that come from matches alone."""
    rows: Rows = [["-"] for _ in text]
    _add_all_matches(rows, lexicon, text, lists)
    return [row[1:] for row in rows]


@cache
def character_class(character: str) -> str:
    """A letter for a kind of character: Han, digit, Latin, Greek, space, else Unicode's."""
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


def _ngrams(text: str) -> list[list[str]]:
    """For each window the n-grams, one a character."""
    padded = BEFORE + text + AFTER
    found = []
    for first, last in WINDOWS:
        name, starts = f"{first}:{last}=", range(PAD + first, PAD + first + len(text))
        width = last - first + 1
        found.append([name + padded[at : at + width] for at in starts])
    return found


def _add_classes(rows: Rows, text: str) -> None:
    classes = "^" * PAD + "".join(map(character_class, text)) + "$" * PAD
    for at, row in enumerate(rows, start=PAD):
        row.append("k=" + classes[at])
        row.append("k-1:1=" + classes[at - 1 : at + 2])
        row.append("k-2:2=" + classes[at - 2 : at + 3])
        if classes[at] in "aA0g":  # how far the Latin or numeric run goes on, to the left and right
            left = next((n for n in range(PAD) if classes[at - n - 1] not in "aA0g"), PAD)
            right = next((n for n in range(PAD) if classes[at + n + 1] not in "aA0g"), PAD)
            row.append(f"run={left},{right}")


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


def _add_all_matches(rows: Rows, lexicon: Lexicon, text: str, lists: Lists) -> None:
    """The matches of the training lexicon, and those of each list, told apart by its name."""
    _add_matches(rows, lexicon, text)
    for name, listed in lists.items():
        found: Rows = [["-"] for _ in text]
        _add_matches(found, listed, text, threshold=0)
        for row, more in zip(rows, found, strict=True):
            row += [f"{name} {each}" for each in more[1:] if not each.endswith("1=-")]


def _add_matches(rows: Rows, lexicon: Lexicon, text: str, threshold: float = TRUSTED) -> None:
    for match in lexicon.longest_matches(text, threshold):
        length, entry = match.end - match.start, match.entry
        roles = "S" if length == 1 else f"B{'I' * (length - 2)}E"
        for at, role in enumerate(roles, start=match.start):
            rows[at].append(f"word={role}:{entry.type}")
            rows[at].append(f"word={role}:{entry.type}:{_bucket(entry.probability)}")
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


def lexicon_of(sentences: Sequence[Sentence], types: Sequence[str]) -> Lexicon:
    """The lexicon of the sentences' mentions."""
    return count_mentions(sentences, StringIndex(mention_strings(sentences))).lexicon(types)


def lexicons_of(lists: Mapping[str, WordList]) -> Lists:
    """The strings of each list, ready to be found."""
    return {name: each.lexicon for name, each in lists.items()}


def out_of_fold_features(
    sentences: Sequence[Sentence],
    types: Sequence[str],
    folds: int,
    seed: int,
    features: Callable[[Lexicon, str, Lists], Rows],
    lists: Mapping[str, WordList] = NO_LISTS,
) -> list[Rows]:
    """The features of each sentence, with a lexicon and lists that its own fold has no part in.

    With a lexicon of all sentences each training entity would be a match, and the model would trust
    matches more than they deserve in new text.
    """
    index = StringIndex(mention_strings(sentences))
    counts = count_mentions(sentences, index)
    found: dict[str, Rows] = {}
    for fold in folds_of(sentences, folds, seed):
        lexicon = counts.without(count_mentions(fold, index)).lexicon(types)
        rest = lexicons_of({name: each.without(fold) for name, each in lists.items()})
        found |= {sentence.id: features(lexicon, sentence.model_text, rest) for sentence in fold}
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


LEAST = 2
"""How often a feature must be met in training to have a number."""


class NumberedFeatures:
    """Matches as numbered features, for a network: the feature `names[i]` is i + 1."""

    def __init__(self, lexicon: Lexicon, lists: Lists, names: Sequence[str]) -> None:
        self.lexicon, self.lists = lexicon, lists
        self.numbers = {str(name): at for at, name in enumerate(names, start=1)}

    def __len__(self) -> int:
        return len(self.numbers)

    def __call__(self, text: str) -> list[list[int]]:
        """The numbers of each character of `text`."""
        return self.numbered(match_features(self.lexicon, text, self.lists))

    def numbered(self, rows: Rows) -> list[list[int]]:
        """The numbers of features, without those that have none."""
        return [[self.numbers[name] for name in row if name in self.numbers] for row in rows]

    def as_json(self) -> dict[str, Any]:
        """Lexicon, lists and names; `numbered_from_json` reads them again."""
        return {**lexicons_as_json(self.lexicon, self.lists), "features": list(self.numbers)}


def numbered_features(lexicon: Lexicon, lists: Lists, rows: Sequence[Rows]) -> NumberedFeatures:
    """The features met LEAST times in `rows`, those of the training sentences."""
    met = Counter(name for sentence in rows for row in sentence for name in row)
    return NumberedFeatures(lexicon, lists, sorted(n for n, count in met.items() if count >= LEAST))


def numbered_from_json(content: Mapping[str, Any]) -> NumberedFeatures:
    """What `as_json` gave; KeyError, TypeError, ValueError or AttributeError for anything else."""
    return NumberedFeatures(*lexicons_from_json(content), content["features"])


def lexicons_as_json(lexicon: Lexicon, lists: Lists) -> dict[str, Any]:
    """The entries of both; `lexicons_from_json` reads them again."""
    listed = {name: entries_as_json(each) for name, each in lists.items()}
    return {"lexicon": entries_as_json(lexicon), "lists": listed}


def lexicons_from_json(content: Mapping[str, Any]) -> tuple[Lexicon, Lists]:
    """What `lexicons_as_json` gave; errors as `numbered_from_json`."""
    lists = {name: entries_from_json(each) for name, each in content["lists"].items()}
    return entries_from_json(content["lexicon"]), lists
