"""The languages of pages, figures and tables.

The code says everything in English; `words.toml` has it in traditional Chinese, from which OpenCC
makes the words of mainland China (`tw2sp`).
"""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from unicodedata import east_asian_width

from chmed_ner.entities import Label
from chmed_ner.errors import InputError

ENGLISH, TRADITIONAL, SIMPLIFIED = LANGUAGES = ("en", "zh-Hant", "zh-Hans")
LANGUAGE: ContextVar[str] = ContextVar("LANGUAGE")
"""The language of what is written; set by `speaking`."""


def check_language(language: object) -> str:
    """`language`; InputError for one that is not there."""
    if language not in LANGUAGES:
        raise InputError(f"language={language}: choose {', '.join(LANGUAGES)}")
    return str(language)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """During the block everything is written in `language`; InputError for an unknown one."""
    token = LANGUAGE.set(check_language(language))
    try:
        yield
    finally:
        LANGUAGE.reset(token)


def say(text: str, /, **values: object) -> str:
    """`text` in the language that is spoken, the `{names}` in it replaced by their values."""
    language = LANGUAGE.get()
    said = text if language == ENGLISH else _words(language)[text]
    return said.format(**values) if values else said


def type_name(label: Label) -> str:
    """An entity type in the language that is spoken; in English, its tag."""
    names = {TRADITIONAL: label.traditional, SIMPLIFIED: label.simplified}
    return names.get(LANGUAGE.get(), label.tag)


def chinese() -> str:
    """The language code of Chinese text on a page: the page's own where it is Chinese."""
    return "zh" if LANGUAGE.get() == ENGLISH else LANGUAGE.get()


def padded(text: str, width: int) -> str:
    """`text` filled up to `width` columns of a terminal, in which a Chinese character takes two."""
    taken = sum(1 + (east_asian_width(character) in "WF") for character in text)
    return text + " " * (width - taken)


@lru_cache
def _words(language: str) -> Mapping[str, str]:
    text = Path(__file__).with_name("words.toml").read_text(encoding="utf-8")
    words: dict[str, str] = tomllib.loads(text)
    if language == TRADITIONAL:
        return words
    import opencc

    convert = opencc.OpenCC("tw2sp").convert
    return {english: str(convert(chinese)) for english, chinese in words.items()}
