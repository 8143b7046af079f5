"""What the transformer reads of a text: rows of token ids, and where each character's state is."""

from dataclasses import dataclass
from typing import Any

from chmed_ner.errors import InputError
from chmed_ner.methods.tagger.alignment import Aligner, special_tokens

FARTHEST = 7
"""Places inside a token are told apart up to this distance from its start and its end."""

SMALLEST_WINDOW = 16


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as rows of token ids, and per character the state it is tagged by.

    `places[i]` is row and position of character i's state; `inside[i]` its distance from the first
    and the last character of that token, at most FARTHEST.
    """

    rows: tuple[tuple[int, ...], ...]
    places: tuple[tuple[int, int], ...]
    inside: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return sum(map(len, self.rows))


class Reader:
    """Turns text into readings of at most `most` tokens a row (None: without a limit).

    A text that is longer is read in windows that overlap, each character tagged where it is
    farthest from a cut.
    """

    def __init__(self, tokenizer: Any, *, most: int | None) -> None:
        self.aligner = Aligner(tokenizer)
        self.before, self.behind = special_tokens(tokenizer)
        fixed = len(self.before) + len(self.behind)
        self.most = None if most is None else most - fixed
        if self.most is not None and self.most < SMALLEST_WINDOW:
            raise InputError(
                f"method.window={most}: leaves {self.most} tokens of text in a window; give "
                f"{fixed + SMALLEST_WINDOW} or more, or a backbone with more positions"
            )

    def __call__(self, text: str) -> Reading:
        """The reading of `text`; no row for none."""
        found = self.aligner(text)
        rows = []
        place_of: dict[int, tuple[int, int]] = {}
        for row, (start, end, begin, stop) in enumerate(windows(len(found.ids), self.most)):
            rows.append((*self.before, *found.ids[start:end], *self.behind))
            shift = len(self.before) - start
            place_of |= {token: (row, token + shift) for token in range(begin, stop)}
        return Reading(
            tuple(rows),
            tuple(place_of[token] for token in found.tokens),
            tuple(_clipped(found.place(at)) for at in range(len(text))),
        )


def windows(length: int, most: int | None) -> list[tuple[int, int, int, int]]:
    """Windows `[start, end)` over `length` tokens, `most` each, and the part of each that counts.

    Neighbours share half a window; the parts `[begin, stop)` that count meet in its middle.
    """
    if not length:
        return []
    if most is None or length <= most:
        return [(0, length, 0, length)]
    step = most - most // 2
    starts = [*range(0, length - most, step), length - most]
    ends = [start + most for start in starts]
    meets = [(start + end) // 2 for start, end in zip(starts[1:], ends[:-1], strict=True)]
    return list(zip(starts, ends, [0, *meets], [*meets, length], strict=True))


def _clipped(place: tuple[int, int]) -> tuple[int, int]:
    return min(place[0], FARTHEST), min(place[1], FARTHEST)
