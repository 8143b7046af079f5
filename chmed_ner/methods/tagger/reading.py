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
    farthest from a cut. With `repeat`, each row holds its tokens twice and characters are tagged in
    the second copy, where a causal model has seen the whole row (Springer et al. 2024, "Repetition
    improves language model embeddings").
    """

    def __init__(self, tokenizer: Any, *, pieces: str, repeat: bool, most: int | None) -> None:
        self.aligner = Aligner(tokenizer, pieces)
        self.before, self.behind = special_tokens(tokenizer)
        self.repeat = repeat
        newline = tuple(tokenizer.encode("\n", add_special_tokens=False))
        self.between = (newline or self.behind) if repeat else ()
        fixed = len(self.before) + len(self.behind) + len(self.between)
        self.most = None if most is None else (most - fixed) // (2 if repeat else 1)
        if self.most is not None and self.most < SMALLEST_WINDOW:
            raise InputError(
                f"method.window={most}: leaves {self.most} tokens of text in a window; give "
                f"{fixed + SMALLEST_WINDOW * (2 if repeat else 1)} or more, or a backbone with "
                "more positions"
            )

    def __call__(self, text: str) -> Reading:
        """The reading of `text`; no row for none."""
        found = self.aligner(text)
        cuts = windows(len(found.ids), self.most)
        offset = len(self.before)
        rows = []
        place_of: dict[int, tuple[int, int]] = {}
        for row, (start, end, begin, stop) in enumerate(cuts):
            ids = found.ids[start:end]
            twice = (*ids, *self.between, *ids) if self.repeat else ids
            shift = offset + (len(ids) + len(self.between) if self.repeat else 0) - start
            rows.append((*self.before, *twice, *self.behind))
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
