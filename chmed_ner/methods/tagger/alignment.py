"""Characters and tokens of a text, matched without loss: every character belongs to a token.

Offsets are code points. A token may cover several characters (a word of a SentencePiece
vocabulary), a character may have several tokens (the bytes of a rare one), and some have none of
their own (white space in WordPiece, a space that belongs to the next word in byte-level BPE).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from chmed_ner.errors import InputError

WORD_START = "▁"
"""What SentencePiece puts before a word."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The token ids of a text, the characters `[start, end)` of each, and the token of each one.

    `tokens[i]` is the last token that covers character i: only there has a causal model read all of
    it. Spans are in ascending order where the tokenizer keeps the order of the text; together they
    cover every character.
    """

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    tokens: tuple[int, ...]

    def place(self, character: int) -> tuple[int, int]:
        """How many characters of its token lie before a character, and how many behind it."""
        start, end = self.spans[self.tokens[character]]
        return character - start, end - 1 - character


class Aligner:
    """Splits text into tokens and matches characters with them.

    InputError for a tokenizer that does not say which characters a token covers.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise InputError(
                f"method=tagger: the backbone's {type(tokenizer).__name__} does not say which "
                "characters a token covers; choose a backbone with a fast tokenizer"
            )
        self.tokenizer = tokenizer
        self._word_start = tokenizer.get_vocab().get(WORD_START)
        known = (tokenizer.unk_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
        self._filler = next((id_ for id_ in known if id_ is not None), 0)

    def __call__(self, text: str) -> Alignment:
        """The alignment of `text`, special tokens left out; of none there is no token."""
        encoded = self.tokenizer(
            text,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            split_special_tokens=True,  # a literal </s> in a sentence is text
        )
        ids = list(encoded["input_ids"])
        spans = [(start, end) for start, end in encoded["offset_mapping"]]
        for at, id_ in enumerate(ids[:-1]):  # what was only put before a word covers nothing
            if id_ == self._word_start and spans[at][0] == spans[at + 1][0]:
                spans[at] = (spans[at][0], spans[at][0])
        if text and not any(start < end for start, end in spans):
            return aligned([self._filler], [(0, len(text))], len(text))
        return aligned(ids, bytes_apart(text, spans), len(text))


def bytes_apart(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans, each byte with its own character where rare characters share one span.

    Tokens of one span are bytes where there are as many as the span has in UTF-8.
    """
    found: list[tuple[int, int]] = []
    for (start, end), group in groupby(spans):
        count = len(list(group))
        sizes = [len(character.encode()) for character in text[start:end]]
        if len(sizes) > 1 and count == sum(sizes):
            at = [start + number for number, size in enumerate(sizes) for _ in range(size)]
            found += [(each, each + 1) for each in at]
        else:
            found += [(start, end)] * count
    return found


def aligned(ids: Sequence[int], spans: Sequence[tuple[int, int]], length: int) -> Alignment:
    """The alignment of a text of `length` characters from its tokens and what they cover.

    A character that no token covers goes to the token of the next one that is covered, whose span
    grows to the left; behind the last such one, to the last token, whose span grows to the right.
    Empty spans stay: their tokens are read, and no character is theirs.
    """
    grown = [list(span) for span in spans]
    first: list[int | None] = [None] * length
    last: list[int | None] = [None] * length
    for token, (start, end) in enumerate(spans):
        for at in range(start, end):
            first[at] = token if first[at] is None else first[at]
            last[at] = token
    following: int | None = None
    for at in range(length - 1, -1, -1):
        if last[at] is None and following is not None:
            grown[following][0] = min(grown[following][0], at)
            last[at] = following
        elif last[at] is not None:
            following = first[at]
    tokens: list[int] = []
    for at, found in enumerate(last):
        owner = tokens[-1] if found is None else found
        grown[owner][1] = max(grown[owner][1], at + 1)
        tokens.append(owner)
    return Alignment(tuple(ids), tuple((start, end) for start, end in grown), tuple(tokens))


def special_tokens(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids that the tokenizer puts before and behind a text, such as [CLS] and [SEP]."""
    text = "人"
    bare = list(tokenizer.encode(text, add_special_tokens=False))
    full = list(tokenizer.encode(text, add_special_tokens=True))
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return tuple(full[:start]), tuple(full[start + len(bare) :])
    raise InputError(
        f"{type(tokenizer).__name__}: special tokens change the tokens of the text ({bare} became "
        f"{full}); choose another backbone"
    )
