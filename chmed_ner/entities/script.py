"""The script a model reads: Traditional Chinese as it is, or Simplified, one character to one.

A conversion keeps the length of the text (asserted), so every position holds in the original and
nothing is ever converted back. OpenCC's `t2s` does this on every sentence of the corpora; variants
that also swap Taiwanese words (`tw2sp`) change lengths and are not offered.
"""

from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from chmed_ner.entities.types import Sentence
from chmed_ner.errors import InputError


class Script(Protocol):
    """A one-to-one rewriting of text. `name` is `simplified` or `traditional`."""

    @property
    def name(self) -> str:
        """Which of a label's names fits this script."""

    def convert(self, text: str) -> str:
        """`text` in this script, of the same length; InputError when it has no such form."""


class Traditional:
    """Leaves the text alone, for the ablation of the conversion."""

    name = "traditional"

    def convert(self, text: str) -> str:
        """`text` itself."""
        return text


class Simplified:
    """Traditional -> Simplified by OpenCC's `t2s`."""

    name = "simplified"

    @cached_property
    def _converter(self) -> Any:
        import opencc

        return opencc.OpenCC("t2s")

    def convert(self, text: str) -> str:
        """`text` in simplified characters, of the same length."""
        try:
            converted = str(self._converter.convert(text))
        except UnicodeEncodeError as error:
            raise InputError(
                f"{text[:30]!r}...: character {error.start + 1} is the lone surrogate "
                f"{text[error.start]!r}, which is not text; repair the source"
            ) from None
        if len(converted) != len(text):
            raise InputError(
                f"{text[:30]!r}...: OpenCC turned {len(text)} characters into {len(converted)}; "
                "use script=traditional for this text"
            )
        return converted


def convert_leniently(script: Script, text: str) -> tuple[str, int]:
    """Any text in `script`, and how many of its characters a model cannot be given as they are.

    For text from outside: where the whole does not convert, it is converted character by
    character. Lone surrogates become U+FFFD and are counted; what has no form in the script stays
    as it is. The length never changes, and nothing is raised.
    """
    try:
        text.encode("utf-8")
        return script.convert(text), 0
    except (UnicodeEncodeError, InputError):
        odd = sum(map(_is_surrogate, text))
        return "".join(_converted(script, character) for character in text), odd


def _is_surrogate(character: str) -> bool:
    return 0xD800 <= ord(character) < 0xE000


def _converted(script: Script, character: str) -> str:
    if _is_surrogate(character):
        return "\ufffd"
    try:
        return script.convert(character)
    except InputError:
        return character


def in_script(script: Script, sentences: tuple[Sentence, ...]) -> tuple[Sentence, ...]:
    """The sentences with `model_text` filled in; InputError naming the sentence that resists."""
    converted = []
    for sentence in sentences:
        try:
            converted.append(replace(sentence, model_text=script.convert(sentence.text)))
        except InputError as error:
            raise InputError(f"sentence {sentence.id}: {error}") from None
    return tuple(converted)
