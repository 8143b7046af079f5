"""A tokenizer's vocabulary as bytes, for walking texts in tokens."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

from chmed_ner.errors import InputError
from chmed_ner.model.decoding.spelling import Spelling, is_byte

LONGEST = 16
"""Characters of a token, at most, where the tokens of a short text are counted."""


class Vocabulary:
    """The tokens of a tokenizer by the bytes they mean, special tokens left out.

    `strips_space`: SentencePiece drops one space in front of a decoded text.
    """

    def __init__(self, tokenizer: Any, size: int) -> None:
        spelling = Spelling(tokenizer)
        names = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
        spelt = {token: spelling.spell(token, name) for token, name in enumerate(names)}
        self.bytes_of = {token: word for token, word in spelt.items() if word}
        self._plain = {token: not is_byte(names[token]) for token in self.bytes_of}
        self._tokenizer = tokenizer
        # tuples, which the garbage collector skips; it would scan lists again and again
        tokens: dict[bytes, tuple[int, ...]] = {}
        for token, word in self.bytes_of.items():
            tokens[word] = (*tokens.get(word, ()), token)
        self._tokens = tokens
        self.breaks = any(
            len(word) > 1 and word.decode("utf-8", "ignore").encode() != word for word in tokens
        )
        """Are there tokens of several bytes that begin or end within a character?"""
        self._sorted = sorted(tokens)
        self._longer: dict[bytes, bool] = {}
        self._counts: dict[str, int] = {}
        self._written: dict[str, str] = {}
        self.strips_space = _strips_space(tokenizer, self.bytes_of)

    def tokens(self, word: bytes) -> tuple[int, ...]:
        """The tokens that mean exactly `word`."""
        return self._tokens.get(word, ())

    def goes_on(self, word: bytes) -> bool:
        """Does a longer token begin with `word`?"""
        found = self._longer.get(word)
        if found is None:
            at = bisect_left(self._sorted, word)
            at += at < len(self._sorted) and self._sorted[at] == word
            found = at < len(self._sorted) and self._sorted[at].startswith(word)
            self._longer[word] = found
        return found

    def ordinary(self, tokens: Iterable[int]) -> int:
        """Of tokens with the same bytes the one that is no name of a byte, else the first."""
        return min(tokens, key=lambda token: (not self._plain[token], token))

    def in_bytes(self, rest: bytes) -> bool:
        """Is there a token for each single byte of `rest`?"""
        return all(bytes([byte]) in self._tokens for byte in rest)

    def written(self, text: str) -> str:
        """`text` in the characters that the tokenizer leaves (Baichuan's makes `（` a `(`)."""
        found = self._written.get(text)
        if found is None:
            found = self._written[text] = "".join(map(self._left_of, text))
        return found

    def _left_of(self, character: str) -> str:
        if character.isspace() or "\ud800" <= character <= "\udfff":
            return character
        ids = self._tokenizer.encode(character, add_special_tokens=False)
        read: str = self._tokenizer.decode(ids, skip_special_tokens=True).strip()
        return read if read and "\ufffd" not in read else character

    def writable(self, character: str) -> bool:
        """Can `character`, or what the tokenizer leaves of it, be written?"""
        try:
            words = [each.encode("utf-8") for each in self.written(character)]
        except UnicodeEncodeError:  # a lone surrogate
            return False
        return all(word in self._tokens or self.in_bytes(word) for word in words)

    def count(self, text: str) -> int:
        """How many tokens `text` takes, the longest taken first from left to right."""
        found = self._counts.get(text)
        if found is None:
            found, at = 0, 0
            while at < len(text):
                lengths = range(LONGEST, 0, -1)
                known = (n for n in lengths if self._tokens.get(text[at : at + n].encode()))
                width = next(known, 0)
                found += 1 if width else len(text[at].encode())
                at += min(width, len(text) - at) or 1
            self._counts[text] = found
        return found


def check_reading(vocabulary: Vocabulary, tokenizer: Any, text: str) -> None:
    """InputError when the tokens of `text` do not mean the text that they are decoded to."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    found = b"".join(vocabulary.bytes_of.get(token, b"") for token in ids)
    if found.removeprefix(b" ") != tokenizer.decode(ids).encode().removeprefix(b" "):
        raise InputError(
            f"decoding=constrained: the tokens of {text[:20]!r} do not stand for its characters in "
            f"this tokenizer ({type(tokenizer).__name__}); use decoding=greedy with this backbone"
        )


def _strips_space(tokenizer: Any, spelt: dict[int, bytes]) -> bool:
    """Does decoding drop a space in front? Tried on the first token that has one."""
    spaced = (token for token, word in spelt.items() if word[:1] == b" " and word.strip() != b"")
    token = next(spaced, None)
    return token is not None and not tokenizer.decode([token]).startswith(" ")
