"""Texts compared as a reader would: two spellings of the same words are found equal.

A tokenizer may normalise what it reads (Baichuan's turns `Ⅱ` into `II`, `℃` into `°C`, `（` into
`(`), and a model may answer in the other script, so that a mention is not literally in the
sentence. Then both are folded: compatibility characters decomposed (Unicode NFKD), case ignored,
white space left out except between two words of letters or digits; and where that does not help,
each character simplified.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, cached_property

from chmed_ner.entities import simplified_character


class FoldedText:
    """A text, folded when first needed, in which pieces can be looked up."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._spellings: dict[str, str | None] = {}

    @cached_property
    def _folded(self) -> tuple[str, list[tuple[int, int]]]:
        return _fold(self.text)

    def spelling(self, words: str) -> str | None:
        """The piece of the text that `words` means, as written, else folded; None for none."""
        if words not in self._spellings:
            self._spellings[words] = self._spelling(words)
        return self._spellings[words]

    def _spelling(self, words: str) -> str | None:
        variants = _variants(words)
        for variant in variants:
            if variant in self.text:
                return variant
        for text, written in ((self, variants), (self._simplified, map(_simplified, variants))):
            if place := next((found for words in written if (found := text.place(words))), None):
                return self.text[slice(*place)]
        return None

    @cached_property
    def _simplified(self) -> "FoldedText":
        return FoldedText(_simplified(self.text))

    def place(self, words: str) -> tuple[int, int] | None:
        """`[start, end)`, in code points, of the first piece that folds to what `words` fold to.

        It begins and ends where a character of the text does. None for words that fold to nothing
        or are far longer than the text.
        """
        folded, units = self._folded
        if len(words) > 2 * len(folded) + 16:  # a loop's line would take long to fold
            return None
        sought = words.translate(_QUICK)
        if _SLOW in sought:
            sought, _ = _fold(words)
        at = folded.find(sought) if sought else -1
        while at >= 0:
            last = at + len(sought) - 1
            if _begins(units, at) and _begins(units, last + 1):
                return units[at][0], units[last][1]
            at = folded.find(sought, at + 1)
        return None


_BULLET = re.compile(r"(?:[-–—•·●○▪◦‧]|\*(?!\*)|[①-⑳]|[(（]?\d{1,3}(?:[.．](?!\d)|[)）、]))\s*")
_QUOTES = {marks[0]: marks for marks in zip("“‘「『【\"'`", "”’」』】\"'`", strict=True)}
_QUOTES["*"] = ("**", "**")


def _simplified(text: str) -> str:
    """`text` of the same length in simplified characters, each for itself."""
    return "".join(map(simplified_character, text))


def bare(words: str) -> str:
    """`words` without bullet and quotation marks; with them if nothing else is left."""
    return _variants(words)[-1]


def without_bullet(words: str) -> str:
    """`words` without the bullet or number that begins them; with it if nothing else is left."""
    bullet = _BULLET.match(words)
    return (words[bullet.end() :] if bullet else "") or words


def unquoted(words: str) -> str:
    """`words` without the quotation marks around them, if there are any."""
    opening, closing = _QUOTES.get(words[:1], (words, ""))
    longer = len(words) > len(opening) + len(closing)
    if longer and words.startswith(opening) and words.endswith(closing):
        return words[len(opening) : -len(closing)].strip()
    return words


def _variants(words: str) -> list[str]:
    """`words` as written, then without a bullet, then without quotation marks; none is empty."""
    plain = without_bullet(words)
    variants = [words] if plain == words else [words, plain]
    if plain[:1] in _QUOTES and (inside := unquoted(plain)):
        variants.append(inside)
    return variants


_BLANKS = frozenset("\u200b\u200e\u200f\u2581\ufeff\ufffd")
"""Without `isspace`, but white space to sentencepiece's normaliser."""
_CJK = 0x2E80
"""From here on, scripts that are written without spaces between words."""


def _begins(units: Sequence[tuple[int, int]], at: int) -> bool:
    """Does a character of the text begin at `at`, or the text end there?"""
    return not 0 < at < len(units) or units[at] != units[at - 1]


def _fold(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The folded text, and for each of its characters the `[start, end)` that it comes from."""
    folded: list[str] = []
    units: list[tuple[int, int]] = []
    blank: tuple[int, int] | None = None
    for start, end in _clusters(text):
        plain = _plain(text[start:end])
        if plain == " ":
            blank = blank or (start, end)
        elif plain:
            if blank and folded and _is_word(folded[-1]) and _is_word(plain[0]):
                folded.append(" ")
                units.append(blank)
            blank = None
            folded.extend(plain)
            units.extend([(start, end)] * len(plain))
    return "".join(folded), units


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """`[start, end)` of each character with the combining marks on it; blanks carry none."""
    start = 0
    for at in range(1, len(text)):
        if not _is_mark(text[at]) or not _character(text[start]).strip():
            yield start, at
            start = at
    if text:
        yield start, len(text)


@cache
def _is_mark(character: str) -> bool:
    """Whether a character combines with the one before it."""
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) > 0


def _plain(cluster: str) -> str:
    """What a character with its marks folds to: a space for white space, "" for control ones."""
    if len(cluster) == 1:
        return _character(cluster)
    return unicodedata.normalize("NFKD", "".join(map(_character, cluster)))


@cache
def _character(character: str) -> str:
    if character.isspace() or character in _BLANKS:
        return " "
    if unicodedata.category(character) in ("Cc", "Cf"):
        return ""
    plain = unicodedata.normalize("NFKD", character).casefold()
    return " ".join(unicodedata.normalize("NFKD", plain).split())


class _Quick(dict[int, str]):
    """A table for `str.translate` that folds text without white space and separate marks."""

    def __missing__(self, code: int) -> str:
        """`_SLOW` for what a table cannot fold, since its neighbours count."""
        plain = _character(chr(code))
        self[code] = _SLOW if plain == " " or _is_mark(chr(code)) else plain
        return self[code]


_SLOW = "\0"
_QUICK = _Quick()


def _is_word(character: str) -> bool:
    return character.isalnum() and ord(character) < _CJK
