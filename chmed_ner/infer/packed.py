"""One forward pass over the new tokens of many sentences, packed end to end without padding.

The model sees a single row of N tokens with their positions, so its linear layers compute nothing
but real tokens, new prompts and decoded tokens side by side. Only attention knows the sentences: it
is registered with transformers under NAME, reads each sentence's slot of the cache, and forms the
masks itself, causal and, where a layer says so, within its sliding window.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from torch.nn import functional

from chmed_ner.infer.cache import SlotCache
from chmed_ner.infer.replacing import attention_replaced

NAME = "chmed_ner_packed"


SHORT = 8
"""Rows with up to this many tokens attend apart from those that bring a whole prompt."""

FEW = 16
"""For up to this many queries oneDNN is faster where keys are the first factor."""

MANY = 8
"""From this many rows on two products are faster than torch's function, in half precision."""


@dataclass(frozen=True)
class Early:
    """The tokens of some rows that are not their row's last.

    `rows` picks the m rows' slots; `tokens` (m, Q) are indices among the N, padded with 0. Those
    that are real, `among` (k,) the m * Q, are the tokens `indices` (k,) among the N.
    """

    rows: slice | torch.Tensor
    tokens: torch.Tensor
    among: torch.Tensor
    indices: torch.Tensor


@dataclass
class Packing:
    """Which sentence and position each packed token belongs to.

    Row r of the batch lies in slot r of the cache and brings some tokens, the last of which has
    position `last[r]`; `ends[r]` is that token's index among all N, `columns` the longest row.
    `early` are the other tokens: those of rows with few, and those of rows with many.
    """

    positions: torch.Tensor  # (N,)
    last: torch.Tensor  # (n,)
    ends: torch.Tensor  # (n,)
    columns: int
    early: Sequence[Early] = ()
    masks: dict[tuple[int | None, int, torch.dtype], torch.Tensor] = field(default_factory=dict)

    def mask(self, window: int | None, early: int | None, dtype: torch.dtype) -> torch.Tensor:
        """What is added to the scores: 0 or -inf, (n, 1, 1, columns) for each row's last token, or
        (m, 1, Q, columns) for group `early` of the others."""
        if window is not None and window >= self.columns:
            window = None
        key = (window, -1 if early is None else early, dtype)
        found = self.masks.get(key)
        if found is None:
            last = self.last[:, None]
            at = last if early is None else self.positions[self.early[early].tokens]
            columns = torch.arange(self.columns, device=at.device)
            hidden = columns > at[..., None]
            if window is not None:
                hidden |= columns <= at[..., None] - window
            found = torch.zeros(hidden.shape, dtype=dtype, device=at.device)
            found = self.masks[key] = found.masked_fill_(hidden, -torch.inf)[:, None]
        return found

    def of_last_tokens(self) -> "Packing":
        """The packing of each row's last token alone."""
        each = torch.arange(len(self.last), device=self.last.device)
        return Packing(self.last, self.last, each, self.columns)


def pack(starts: Sequence[int], counts: Sequence[int], cache: SlotCache, device: Any) -> Packing:
    """The packing of rows 0, 1 ... that bring `counts` tokens each at positions from `starts` on.

    Also tells the cache where their states go, and makes room for them.
    """
    columns = max(start + count for start, count in zip(starts, counts, strict=True))
    cache.ensure(columns)
    ends = [end - 1 for end in accumulate(counts)]
    last = torch.tensor([s + c - 1 for s, c in zip(starts, counts, strict=True)], device=device)
    end = torch.tensor(ends, device=device)
    if len(counts) == ends[-1] + 1:
        cache.place(torch.arange(len(counts), device=device) * cache.columns + last)
        return Packing(last, last, end, columns)
    positions = torch.tensor(
        [s + k for s, c in zip(starts, counts, strict=True) for k in range(c)], device=device
    )
    rows = torch.tensor([r for r, c in enumerate(counts) for _ in range(c)], device=device)
    cache.place(rows * cache.columns + positions)
    few = [row for row, count in enumerate(counts) if 1 < count <= SHORT]
    many = [row for row, count in enumerate(counts) if count > SHORT]
    early = [_early(some, counts, ends, device) for some in (few, many) if some]
    return Packing(positions, last, end, columns, early)


def _early(rows: Sequence[int], counts: Sequence[int], ends: Sequence[int], device: Any) -> Early:
    """All but the last tokens of `rows`."""
    width = max(counts[row] for row in rows) - 1
    firsts = [ends[row] + 1 - counts[row] for row in rows]
    real = [counts[row] - 1 for row in rows]
    pairs = list(zip(firsts, real, strict=True))
    tokens = [[first + k if k < count else 0 for k in range(width)] for first, count in pairs]
    among = [m * width + k for m, count in enumerate(real) for k in range(count)]
    indices = [first + k for first, count in pairs for k in range(count)]
    together = rows[-1] - rows[0] == len(rows) - 1  # then keys need not be copied
    return Early(
        slice(rows[0], rows[-1] + 1) if together else torch.tensor(rows, device=device),
        torch.tensor(tokens, device=device),
        torch.tensor(among, device=device),
        torch.tensor(indices, device=device),
    )


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,  # noqa: ARG001
    *,
    packing: Packing,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of packed queries, (1, H, N, D), on cache buffers, (slots, columns, h, D).

    Returns (1, N, H, D), as transformers' attention functions do. Each row's last token attends in
    one call over all rows, straight from the cache; the other tokens of rows that bring several
    attend in further calls.
    """
    if softcap is None:
        softcap = getattr(module, "attn_logit_softcapping", None)
    knobs = (scaling, softcap)
    tokens = query[0].transpose(0, 1)  # (N, H, D)
    rows, columns = len(packing.last), packing.columns
    late = tokens[packing.ends] if packing.early else tokens
    attended = _attend(
        late[:, None],
        key[:rows, :columns],
        value[:rows, :columns],
        packing.mask(sliding_window, None, query.dtype),
        *knobs,
    )  # (n, 1, H, D)
    if not packing.early:
        return attended.transpose(0, 1), None
    output = attended.new_empty(*tokens.shape[:2], attended.shape[-1])
    output[packing.ends] = attended[:, 0]
    for number, early in enumerate(packing.early):
        attended = _attend(
            tokens[early.tokens],
            key[early.rows, :columns],
            value[early.rows, :columns],
            packing.mask(sliding_window, number, query.dtype),
            *knobs,
        )  # (m, Q, H, D)
        output[early.indices] = attended.flatten(0, 1)[early.among]
    return output[None], None


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scaling: float | None,
    softcap: float | None,
) -> torch.Tensor:
    """Queries (n, Q, H, D) on keys (n, K, h, D), mask (n, 1, Q, K); returns (n, Q, H, D).

    The H / h query heads that share a key head stand side by side as queries of one head, so that
    keys are not copied. On a CPU torch's own function is the slower one where whole prompts are
    read, and in half precision for many rows with a single key head.
    """
    rows, count, heads, width = query.shape
    shared = heads // key.shape[2]
    query = query.view(rows, count, key.shape[2], shared, width).permute(0, 2, 3, 1, 4)
    query = query.reshape(rows, key.shape[2], shared * count, width)
    mask = mask.expand(-1, 1, count, -1).repeat(1, 1, shared, 1) if count > 1 else mask
    key, value = key.transpose(1, 2), value.transpose(1, 2)
    scale = width**-0.5 if scaling is None else scaling
    slow = query.device.type == "cpu" and (
        count > 1 or (key.shape[1] == 1 and rows >= MANY and query.dtype != torch.float32)
    )
    if softcap or slow:
        if query.shape[2] <= FEW:
            scores = (key @ query.transpose(2, 3)).transpose(2, 3).contiguous() * scale
        else:
            scores = query @ key.transpose(2, 3) * scale
        if softcap:
            scores = torch.tanh(scores / softcap) * softcap
        attended = torch.softmax(scores + mask, -1, dtype=torch.float32).to(query.dtype) @ value
    else:
        mask = mask.expand(-1, -1, query.shape[2], -1)
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=scale
        )
    attended = attended.view(rows, -1, shared, count, attended.shape[-1])
    return attended.permute(0, 3, 1, 2, 4).reshape(rows, count, heads, -1)


@contextmanager
def packed_attention_in(model: Any) -> Iterator[None]:
    """Within the block `model` attends through `packed_attention`; then as before."""
    with attention_replaced(model, NAME, packed_attention):
        yield


def last_states(
    model: Any, tokens: Sequence[int], packing: Packing, cache: SlotCache
) -> torch.Tensor:
    """The hidden state behind each row's last token, (n, H), within `packed_attention_in`."""
    hidden: torch.Tensor = model.base_model(
        input_ids=torch.tensor([tokens], device=model.device),
        position_ids=packing.positions[None],
        past_key_values=cache,
        use_cache=True,
        packing=packing,
    ).last_hidden_state[0]
    return hidden if len(hidden) == len(packing.ends) else hidden[packing.ends]
