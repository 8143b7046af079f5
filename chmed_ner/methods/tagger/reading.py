"""What the transformer reads of a text: rows of token ids, and where each character's state is.

A token may cover several characters (a SentencePiece word), a character may have several tokens
(bytes) or none of its own (white space in WordPiece). Offsets are code points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from chmed_ner.errors import InputError

FARTHEST = 7
"""Places inside a token differ up to this distance from its start and its end."""

SMALLEST_WINDOW = 16

WORD_START = "▁"
"""What SentencePiece puts before a word."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as rows of token ids, and the state that each character is tagged by.

    `places[i]`: row and position of character i's state; `inside[i]`: its distance from the first
    and the last character of that token, at most FARTHEST.
    """

    rows: tuple[tuple[int, ...], ...]
    places: tuple[tuple[int, int], ...]
    inside: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return sum(map(len, self.rows))


class Reader:
    """Turns text into readings of at most `most` tokens a row (None: no limit).

    Longer text is read in windows that overlap, each character tagged where it is farthest from a
    cut. InputError: `most` leaves too few tokens for text.
    """

    def __init__(self, tokenizer: Any, *, most: int | None) -> None:
        self.aligner = Aligner(tokenizer)
        self.before, self.after = special_tokens(tokenizer)
        fixed = len(self.before) + len(self.after)
        self.most = None if most is None else most - fixed
        if self.most is not None and self.most < SMALLEST_WINDOW:
            raise InputError(
                f"method.window={most}: leaves {self.most} tokens of text in a window; give "
                f"{fixed + SMALLEST_WINDOW} or more, or a backbone with more positions"
            )

    def __call__(self, text: str) -> Reading:
        """The reading of `text`; no row for an empty one."""
        found = self.aligner(text)
        rows = []
        place_of: dict[int, tuple[int, int]] = {}
        for row, (start, end, begin, stop) in enumerate(windows(len(found.ids), self.most)):
            rows.append((*self.before, *found.ids[start:end], *self.after))
            shift = len(self.before) - start
            place_of |= {token: (row, token + shift) for token in range(begin, stop)}
        return Reading(
            tuple(rows),
            tuple(place_of[token] for token in found.tokens),
            tuple(
                (min(before, FARTHEST), min(after, FARTHEST))
                for before, after in map(found.place, range(len(text)))
            ),
        )


def windows(length: int, most: int | None) -> list[tuple[int, int, int, int]]:
    """Windows `[start, end)` of `most` over `length` tokens, and the part `[begin, stop)` of each
    that counts: neighbours share half a window, and these parts meet in its middle."""
    if not length:
        return []
    if most is None or length <= most:
        return [(0, length, 0, length)]
    step = most - most // 2
    starts = [*range(0, length - most, step), length - most]
    ends = [start + most for start in starts]
    meets = [(start + end) // 2 for start, end in zip(starts[1:], ends[:-1], strict=True)]
    return list(zip(starts, ends, [0, *meets], [*meets, length], strict=True))


@dataclass(frozen=True, slots=True)
class Alignment:
    """The token ids of a text, the characters `[start, end)` of each, and the token of each one.

    `tokens[i]` is the last token that covers character i: only there has a causal model read all of
    it. Together the spans cover every character.
    """

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    tokens: tuple[int, ...]

    def place(self, character: int) -> tuple[int, int]:
        """How many characters of its token come before a character, and how many after it."""
        start, end = self.spans[self.tokens[character]]
        return character - start, end - 1 - character


class Aligner:
    """Aligns text with its tokens; InputError: the tokenizer does not say what a token covers."""

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
        """The alignment of `text`, without special tokens; an empty text has no token."""
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
    """The spans; where one has as many tokens as bytes, each byte with its own character."""
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

    A character without a token goes to the token of the next covered one, whose span grows to the
    left; at the end of the text to the last token. Empty spans stay: their tokens are only read.
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
    """The ids that the tokenizer puts before and after a text, such as [CLS] and [SEP]."""
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
