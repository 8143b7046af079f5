"""How tokens spell a text: the bytes of each, and the stretch that each has written."""

import codecs
from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

from chmed_ner.entities import Logprobs

DECIMALS = 6
"""Of a log-probability: completions are kept as text."""


class Spelling(dict[int, bytes]):
    """The bytes of a tokenizer's tokens, looked up once; none for special ones."""

    def __init__(self, tokenizer: Any) -> None:
        from transformers.convert_slow_tokenizer import bytes_to_unicode

        super().__init__()
        self._tokenizer = tokenizer
        shown = bytes_to_unicode() if _is_byte_level(tokenizer) else {}  # type: ignore[no-untyped-call]
        self._alphabet = {character: byte for byte, character in shown.items()}
        self._added = tokenizer.added_tokens_decoder
        special = {at for at, token in self._added.items() if token.special}
        self._special = special.union(tokenizer.all_special_ids)

    def __missing__(self, token: int) -> bytes:
        found = self[token] = self.spell(token, self._tokenizer.convert_ids_to_tokens(token))
        return found

    def spell(self, token: int, name: Any) -> bytes:
        """The bytes of the token of this name."""
        if token in self._special or name is None:
            return b""
        if self._alphabet and token not in self._added:
            return bytes(self._alphabet[c] for c in name if c in self._alphabet)
        if is_byte(name):
            return bytes([int(name[3:5], 16)])
        text = name if isinstance(name, str) else name.decode("utf-8", "replace")
        return text.replace("▁", " ").encode("utf-8", "replace")


def written_stretches(text: str, words: Iterable[bytes], chances: Sequence[float]) -> Logprobs:
    """How many characters of `text` each token has written, and its log-probability.

    What begins a character counts with what ends it, and tokens without choice as one. Nothing
    where the `words` of the tokens do not spell the text and what was cut off after it.
    """
    if not all(-inf < chance <= 0 for chance in chances):
        return ()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    written = list(map(decoder.decode, words))
    written[-1:] = [each + decoder.decode(b"", final=True) for each in written[-1:]]
    spelt = "".join(written)
    skipped = 0
    if not spelt.startswith(text):
        skipped = 1  # SentencePiece drops a space in front
        if spelt[:1] != " " or not spelt.startswith(text, skipped):
            return ()
    found: list[tuple[int, float]] = []
    left, waiting = len(text), 0.0
    for piece, chance in zip(written, chances, strict=True):
        dropped = min(skipped, len(piece))
        skipped -= dropped
        count, waiting = min(len(piece) - dropped, left), waiting + chance
        if not count:
            continue
        left -= count
        if found and not waiting and not found[-1][1]:
            count += found.pop()[0]
        found.append((count, round(waiting, DECIMALS)))
        waiting = 0.0
    return tuple(found)


def is_byte(name: Any) -> bool:
    """Is it a SentencePiece token for one byte, `<0xE5>`?"""
    return isinstance(name, str) and len(name) == 6 and name.startswith("<0x") and name[5] == ">"


def _is_byte_level(tokenizer: Any) -> bool:
    """Are its tokens written in GPT-2's printable alphabet for bytes?"""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or backend.decoder is None:
        return False
    return b'"ByteLevel"' in backend.decoder.__getstate__()
