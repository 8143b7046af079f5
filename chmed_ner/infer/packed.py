"""One forward pass over the new tokens of many sentences, packed end to end without padding.

The model sees a single row of N tokens with their positions, so its linear layers compute nothing
but real tokens, new prompts and decoded tokens side by side. Only attention knows the sentences: it
is registered with transformers under NAME, reads each sentence's slot of the cache, and forms the
masks itself, causal and, where a layer says so, within its sliding window.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional

from chmed_ner.infer.cache import SlotCache
from chmed_ner.infer.replacing import attention_replaced

NAME = "chmed_ner_packed"


@dataclass
class Packing:
    """Which sentence and position each packed token belongs to.

    Row r of the batch lies in slot r of the cache and brings `counts[r]` tokens, the last of which
    has position `last[r]`; `ends[r]` is that token's index among all N, `columns` the longest row.
    `early` lists the tokens that are not their row's last, by row (None without any): `early_rows`
    (m,), `early_tokens` (m, Q) indices among the N, padded with 0, and `early_real` (m, Q).
    """

    positions: torch.Tensor  # (N,)
    last: torch.Tensor  # (n,)
    ends: torch.Tensor  # (n,)
    columns: int
    early_rows: torch.Tensor | None = None
    early_tokens: torch.Tensor | None = None
    early_real: torch.Tensor | None = None
    masks: dict[tuple[int | None, bool, torch.dtype], torch.Tensor] = field(default_factory=dict)

    def mask(self, window: int | None, early: bool, dtype: torch.dtype) -> torch.Tensor:
        """What is added to the scores: 0 or -inf, (n, 1, 1, columns) or (m, 1, Q, columns)."""
        if window is not None and window >= self.columns:
            window = None
        found = self.masks.get((window, early, dtype))
        if found is None:
            at = self.positions[self.early_tokens] if early else self.last[:, None]
            columns = torch.arange(self.columns, device=at.device)
            hidden = columns > at[..., None]
            if window is not None:
                hidden |= columns <= at[..., None] - window
            found = torch.zeros(hidden.shape, dtype=dtype, device=at.device)
            found = found.masked_fill_(hidden, -torch.inf)[:, None]
            self.masks[window, early, dtype] = found
        return found


def pack(starts: Sequence[int], counts: Sequence[int], cache: SlotCache, device: Any) -> Packing:
    """The packing of rows 0, 1 ... that bring `counts` tokens each at positions from `starts` on.

    Also tells the cache where their states go, and makes room for them.
    """
    columns = max(start + count for start, count in zip(starts, counts, strict=True))
    cache.ensure(columns)
    ends, total = [], 0
    for count in counts:
        total += count
        ends.append(total - 1)
    last = torch.tensor([s + c - 1 for s, c in zip(starts, counts, strict=True)], device=device)
    end = torch.tensor(ends, device=device)
    if total == len(counts):
        cache.place(torch.arange(total, device=device) * cache.columns + last)
        return Packing(last, last, end, columns)
    positions = torch.tensor(
        [s + k for s, c in zip(starts, counts, strict=True) for k in range(c)], device=device
    )
    rows = torch.tensor([r for r, c in enumerate(counts) for _ in range(c)], device=device)
    cache.place(rows * cache.columns + positions)
    several = [row for row, count in enumerate(counts) if count > 1]
    width = max(counts) - 1
    tokens = [
        [ends[row] + 1 - counts[row] + k if k < counts[row] - 1 else 0 for k in range(width)]
        for row in several
    ]
    real = [[k < counts[row] - 1 for k in range(width)] for row in several]
    return Packing(
        positions,
        last,
        end,
        columns,
        torch.tensor(several, device=device),
        torch.tensor(tokens, device=device),
        torch.tensor(real, device=device),
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
    attend in a second call.
    """
    if softcap is None:
        softcap = getattr(module, "attn_logit_softcapping", None)
    knobs = (scaling, softcap)
    tokens = query[0].transpose(0, 1)  # (N, H, D)
    rows, columns = len(packing.last), packing.columns
    late = tokens if packing.early_rows is None else tokens[packing.ends]
    attended = _attend(
        late[:, None],
        key[:rows, :columns],
        value[:rows, :columns],
        packing.mask(sliding_window, False, query.dtype),
        *knobs,
    )  # (n, 1, H, D)
    if packing.early_rows is None or packing.early_tokens is None or packing.early_real is None:
        return attended.transpose(0, 1), None
    early = _attend(
        tokens[packing.early_tokens],
        key[packing.early_rows, :columns],
        value[packing.early_rows, :columns],
        packing.mask(sliding_window, True, query.dtype),
        *knobs,
    )  # (m, Q, H, D)
    output = attended.new_empty(1, *tokens.shape[:2], attended.shape[-1])
    output[0, packing.ends] = attended[:, 0]
    output[0, packing.early_tokens[packing.early_real]] = early[packing.early_real]
    return output, None


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
    keys are not copied. Torch's own function is the slower one where a CPU reads whole prompts.
    """
    rows, count, heads, width = query.shape
    shared = heads // key.shape[2]
    query = query.view(rows, count, key.shape[2], shared, width).permute(0, 2, 3, 1, 4)
    query = query.reshape(rows, key.shape[2], shared * count, width)
    mask = mask.expand(-1, 1, count, -1).repeat(1, 1, shared, 1) if count > 1 else mask
    key, value = key.transpose(1, 2), value.transpose(1, 2)
    if softcap or (count > 1 and query.device.type == "cpu"):
        scores = query @ key.transpose(2, 3) * (width**-0.5 if scaling is None else scaling)
        if softcap:
            scores = torch.tanh(scores / softcap) * softcap
        attended = torch.softmax(scores + mask, -1, dtype=torch.float32).to(query.dtype) @ value
    else:
        mask = mask.expand(-1, -1, query.shape[2], -1)
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=scaling
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
