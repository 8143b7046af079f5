"""Which of the tokens laid end to end belong to which sentence, who attends together, and to what.

For n sentences (rows) that bring N new tokens:

1. Each token has a position, (N,), and a place in the cache, `slot * columns + position`, (N,).
2. Each row's last token, (n,), attends with those of all rows, or of the rows of like length.
3. The other tokens of rows that bring several attend apart: those of rows that bring a few
   (guesses, forced tokens), and those of rows that bring many (a prompt), padded to (m, Q).
4. Wanted are the states of the tokens `asked`, (a,): each row's last one, and those before guesses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch

from chmed_ner.model.kernels.cache import SlotCache

SHORT = 8
"""Rows with up to this many tokens attend apart from those that bring a prompt."""

APART = 2000
"""Columns, over all rows, that a call of attention must spare to be worth its start."""


@dataclass(frozen=True)
class Group:
    """Rows that attend together, m of them with up to Q tokens each, to `columns` columns.

    `rows` picks their slots; `at` (m, Q) are their tokens' positions.
    """

    rows: slice | torch.Tensor
    at: torch.Tensor
    columns: int
    masks: dict[tuple[int | None, torch.dtype], torch.Tensor] = field(default_factory=dict)

    def mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """What is added to the scores: 0 or -inf, (m, 1, Q, columns)."""
        if window is not None and window >= self.columns:
            window = None
        found = self.masks.get((window, dtype))
        if found is None:
            found = causal_mask(self.at, self.columns, window, dtype)[:, None]
            self.masks[window, dtype] = found
        return found


@dataclass(frozen=True)
class Others(Group):
    """The tokens of some rows that are not their row's last.

    `tokens` (m, Q), padded with 0, and `indices` (k,) are their indices among the N; `among` (k,)
    are the indices of the real ones among the m * Q.
    """

    tokens: torch.Tensor = field(kw_only=True)
    among: torch.Tensor = field(kw_only=True)
    indices: torch.Tensor = field(kw_only=True)


@dataclass(frozen=True)
class Packing:
    """Which sentence and position each token belongs to.

    Row r of the batch is in slot r of the cache; its last token has the index `ends[r]` among the
    N. `last` are the groups of these last tokens, `others` those of all other tokens.
    """

    positions: torch.Tensor  # (N,)
    ends: torch.Tensor  # (n,)
    asked: torch.Tensor  # (a,)
    last: Sequence[Group]
    others: Sequence[Others] = ()

    @property
    def asks_for_ends(self) -> bool:
        """Is nothing wanted but each row's last state?"""
        return len(self.asked) == len(self.ends)

    def of_last_tokens(self) -> "Packing":
        """The packing of each row's last token alone."""
        each = torch.arange(len(self.ends), device=self.ends.device)
        return Packing(self.positions[self.ends], each, each, self.last)


def pack(
    starts: Sequence[int],
    counts: Sequence[int],
    cache: SlotCache,
    device: Any,
    asked: Sequence[int] | None = None,
) -> Packing:
    """The packing of rows 0, 1 ... that bring `counts` tokens each at positions from `starts` on.

    Wanted are the states of each row's last `asked` tokens (None: 1). Makes room in the cache.
    """
    lengths = [start + count for start, count in zip(starts, counts, strict=True)]
    cache.ensure(max(lengths))
    ends = [end - 1 for end in accumulate(counts)]
    at = torch.tensor([length - 1 for length in lengths], device=device)  # (n,)
    end = torch.tensor(ends, device=device)  # (n,)
    last = [  # 2.
        Group(slice(first, after), at[first:after, None], max(lengths[first:after]))
        for first, after in _parts(lengths)
    ]
    if len(counts) == ends[-1] + 1:  # one token a row
        cache.place(torch.arange(len(counts), device=device) * cache.columns + at)
        return Packing(at, end, end, last)
    positions = torch.tensor(
        [s + k for s, c in zip(starts, counts, strict=True) for k in range(c)], device=device
    )  # 1. (N,)
    rows = torch.tensor([r for r, c in enumerate(counts) for _ in range(c)], device=device)
    cache.place(rows * cache.columns + positions)
    few = [row for row, count in enumerate(counts) if 1 < count <= SHORT]
    many = [row for row, count in enumerate(counts) if count > SHORT]
    others = [_others(some, starts, counts, ends, device) for some in (few, many) if some]  # 3.
    wanted = end  # 4.
    if asked is not None and max(asked) > 1:
        spans = [range(end + 1 - count, end + 1) for end, count in zip(ends, asked, strict=True)]
        wanted = torch.tensor([token for span in spans for token in span], device=device)
    return Packing(positions, end, wanted, last, others)


def _parts(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """The rows [first, after) that attend together: all, or the first and the others.

    Sentences come in by length, so that the few with long answers stay in the first slots. The
    others, apart, need not attend to columns that they do not have.
    """
    rows, most = len(lengths), max(lengths)
    before = list(accumulate(lengths, max))
    after = list(accumulate(reversed(lengths), max))[::-1]
    spared = [
        at * (most - before[at - 1]) + (rows - at) * (most - after[at]) for at in range(1, rows)
    ]
    if not spared or max(spared) < APART:
        return [(0, rows)]
    cut = 1 + spared.index(max(spared))
    return [(0, cut), (cut, rows)]


def _others(
    rows: Sequence[int],
    starts: Sequence[int],
    counts: Sequence[int],
    ends: Sequence[int],
    device: Any,
) -> Others:
    """All but the last tokens of `rows`."""
    width = max(counts[row] for row in rows) - 1
    firsts = [ends[row] + 1 - counts[row] for row in rows]
    real = [counts[row] - 1 for row in rows]
    pairs = list(zip(firsts, real, strict=True))
    tokens = [[first + k if k < count else 0 for k in range(width)] for first, count in pairs]
    at = [[starts[row] + min(k, counts[row] - 1) for k in range(width)] for row in rows]
    among = [m * width + k for m, count in enumerate(real) for k in range(count)]
    indices = [first + k for first, count in pairs for k in range(count)]
    together = rows[-1] - rows[0] == len(rows) - 1  # then keys need not be copied
    return Others(
        slice(rows[0], rows[-1] + 1) if together else torch.tensor(rows, device=device),
        torch.tensor(at, device=device),
        max(starts[row] + counts[row] for row in rows),
        tokens=torch.tensor(tokens, device=device),
        among=torch.tensor(among, device=device),
        indices=torch.tensor(indices, device=device),
    )


def causal_mask(
    at: torch.Tensor, columns: int, window: int | None, dtype: torch.dtype
) -> torch.Tensor:
    """0 where a token at the positions `at`, (..., Q), sees a column, else -inf: (..., Q, columns).

    It sees its own column and those before it, of them only the latest `window` if there is one.
    """
    every = torch.arange(columns, device=at.device)
    hidden = every > at[..., None]
    if window is not None:
        hidden |= every <= at[..., None] - window
    return torch.zeros(hidden.shape, dtype=dtype, device=at.device).masked_fill_(hidden, -torch.inf)
