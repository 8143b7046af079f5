"""What the CRF sees of each character: n-grams, classes, brackets, lexicon matches, affixes.

Every feature is a string that either holds or does not. Features that come from a lexicon must be
computed with one that was not built on the sentence itself: see `chmed_ner.methods.crf`.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from chmed_ner.methods.mention_lexicon import Lexicon, Match

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
REACH = 6
"""How many characters ahead a suffix is looked for."""
FAMILY = 3
"""How many distinct mentions make an affix."""


class SentenceFeatures:
    """Computes the features of sentences with one lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.suffixes = affixes(lexicon, last=True)
        self.prefixes = affixes(lexicon, last=False)

    def __call__(self, text: str) -> Rows:
        """The features of each character of `text`."""
        rows: Rows = [["bias"] for _ in text]
        _add_ngrams(rows, text)
        _add_classes(rows, text)
        _add_brackets(rows, text)
        _add_matches(rows, self.lexicon, text)
        _add_affixes(rows, text, self.suffixes, self.prefixes)
        return rows


def affixes(lexicon: Lexicon, *, last: bool) -> dict[str, str]:
    """The last (else first) one and two characters that FAMILY distinct mentions share, with the
    type of most of them: `炎` -> `DISE`."""
    types: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for string, entry in lexicon.entries.items():
        for length in (1, 2):
            if len(string) > length:
                affix = string[-length:] if last else string[:length]
                types[affix][entry.type] += 1
    return {
        affix: min(found, key=lambda type_: (-found[type_], type_))
        for affix, found in types.items()
        if found.total() >= FAMILY
    }


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


def _add_affixes(
    rows: Rows,
    text: str,
    suffixes: Mapping[str, str],
    prefixes: Mapping[str, str],
) -> None:
    endings = [_longest(suffixes, text[max(0, at - 1) : at + 1], last=True) for at in _range(text)]
    for at, row in enumerate(rows):
        if endings[at]:
            row.append(f"suffix={suffixes[endings[at]]}")
        if begun := _longest(prefixes, text[at : at + 2], last=False):
            row.append(f"prefix={prefixes[begun]}")
        if ahead := _ahead(text, endings, at):
            distance, suffix = ahead
            row.append(f"ahead={suffixes[suffix]}:{distance}")
            row.append(f"ahead={suffix}")


def _range(text: str) -> range:
    return range(len(text))


def _longest(known: Mapping[str, str], text: str, *, last: bool) -> str:
    """`text` if it is known, else its last (first) character if that is, else nothing."""
    one = text[-1:] if last else text[:1]
    return text if text in known else one if one in known else ""


def _ahead(text: str, endings: Sequence[str], at: int) -> tuple[int, str] | None:
    """The next suffix after `at` and how far it is, unless punctuation comes first."""
    for distance in range(1, REACH + 1):
        place = at + distance
        if place >= len(text) or character_class(text[place]) == "P":
            return None
        if endings[place]:
            return distance, endings[place]
    return None
