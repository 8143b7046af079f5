"""One forward pass over the new tokens of many sentences, packed end to end without padding.

The model sees a single row of N tokens with their positions, so its linear layers compute nothing
but real tokens, new prompts and decoded tokens side by side. Only attention knows the sentences: it
is registered with transformers under NAME, reads each sentence's slot of the cache, and forms the
masks itself, causal and, where a layer says so, within its sliding window.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

from chmed_ner.model.kernels.cache import SlotCache
from chmed_ner.model.kernels.packing import Group, Packing
from chmed_ner.model.kernels.replacing import attention_replaced

NAME = "chmed_ner_packed"

FEW = 16
"""Up to this many queries of a row, torch's attention is faster than two products on a CPU too."""


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
    tokens = query[0].transpose(0, 1)  # (N, H, D)

    def attended(group: Group, queries: torch.Tensor) -> torch.Tensor:
        """Those of (m, Q, H, D), on the group's rows and columns of the cache."""
        keys, values = (each[group.rows, : group.columns] for each in (key, value))
        mask = group.mask(sliding_window, query.dtype)
        return _attend(queries, keys, values, mask, scaling, softcap)

    last = tokens[packing.ends] if packing.early else tokens
    parts = [attended(group, last[group.rows, None]) for group in packing.late]
    late = (parts[0] if len(parts) == 1 else torch.cat(parts))[:, 0]  # (n, H, D)
    if not packing.early:
        return late[None], None
    output = late.new_empty(*tokens.shape[:2], late.shape[-1])
    output[packing.ends] = late
    for early in packing.early:
        output[early.indices] = attended(early, tokens[early.tokens]).flatten(0, 1)[early.among]
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
    keys are not copied. On a CPU torch's own function is the slower one where prompts are read.
    """
    rows, count, heads, width = query.shape
    shared = heads // key.shape[2]
    query = query.view(rows, count, key.shape[2], shared, width).permute(0, 2, 3, 1, 4)
    query = query.reshape(rows, key.shape[2], shared * count, width)
    mask = mask.expand(-1, 1, count, -1).repeat(1, 1, shared, 1) if count > 1 else mask
    key, value = key.transpose(1, 2), value.transpose(1, 2)
    scale = width**-0.5 if scaling is None else scaling
    if softcap or (shared * count > FEW and query.device.type == "cpu"):
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


def asked_states(
    model: Any, tokens: Sequence[int], packing: Packing, cache: SlotCache
) -> torch.Tensor:
    """The hidden states behind the tokens asked for, (a, H), within `packed_attention_in`."""
    hidden: torch.Tensor = model.base_model(
        input_ids=torch.tensor([tokens], device=model.device),
        position_ids=packing.positions[None],
        past_key_values=cache,
        use_cache=True,
        packing=packing,
    ).last_hidden_state[0]
    return hidden if len(hidden) == len(packing.asked) else hidden[packing.asked]
