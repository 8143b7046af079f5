"""Characters of a sentence and of its copy, made comparable."""

from functools import cache
from unicodedata import normalize

BLANK = "␣"
"""How white space inside a sentence is written where an answer uses white space itself."""


def comparable(text: str) -> str:
    """`text` of the same length with width, case and kinds of white space made equal."""
    return "".join(map(_comparable, text))


def visible(text: str) -> str:
    """`text` of the same length with `BLANK` for each white space character."""
    return "".join(BLANK if character.isspace() else character for character in text)


@cache
def _comparable(character: str) -> str:
    if character == BLANK or character.isspace():
        return " "
    plain = _compatible(character)
    return plain if len(plain) == 1 else character


@cache
def _compatible(character: str) -> str:
    """The character or characters that Unicode calls compatible, never none."""
    return normalize("NFKC", character).casefold() or character


def aligned_units(sentence: str, copy: str) -> tuple[str, list[int]]:
    """What `sentence` is aligned as, and the place of each of its characters.

    Some tokenizers write one character as several (`℃` as `°C`): one that is not in `copy` stands
    for them if they are.
    """
    owners, units = [], []
    for at, character in enumerate(sentence):
        written = _compatible(character)
        unit = written if character not in copy and written in copy else character
        units.append(unit)
        owners += [at] * len(unit)
    return "".join(units), owners
