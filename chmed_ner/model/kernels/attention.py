"""Attention within a batch of examples, with gradients, and over the decoding loop's cache.

The H / h query heads that share a key head become queries of one head, one after the other, so that
keys are not copied.

Over the cache, one forward pass reads the new tokens of many sentences, laid end to end without
padding. The model sees a single row of N tokens with their positions, so that its linear layers
compute only real tokens. Attention alone knows the sentences. For each layer it:

1. gets queries of the N tokens, (1, H, N, D), and the cache's buffers, (slots, columns, h, D),
   which already hold the new tokens' keys and values;
2. lets each sentence's last token attend, all sentences in one call (or two), straight from the
   cache;
3. lets the other tokens of sentences that bring several attend, in further calls;
4. masks each group itself: causal and, where a layer says so, within its sliding window.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from chmed_ner.model.kernels.cache import SlotCache
from chmed_ner.model.kernels.packing import Group, Packing
from chmed_ner.model.kernels.replacing import attention_replaced

FEW = 16
"""Up to this many queries of a row, torch's attention is faster than two products on a CPU too."""


@dataclass(frozen=True)
class Scoring:
    """How a layer scores its keys: None for 1 / sqrt(D), for all columns, for no cap."""

    scaling: float | None
    sliding_window: int | None
    softcap: float | None


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scaling: float,
    softcap: float | None,
    dropout: float,
) -> torch.Tensor:
    """Queries (n, Q, H, D) on keys (n, K, h, D), mask (1, 1, Q, K); returns (n, Q, H, D).

    torch's own function, the faster one on a GPU, is several times slower in the backward pass on a
    CPU for sentences as short as these; and it knows no `softcap`.
    """
    rows, count, heads, width = query.shape
    kept = key.shape[2]
    shared = heads // kept
    query = query.view(rows, count, kept, shared, width).permute(0, 2, 3, 1, 4)
    query = query.reshape(rows, kept, shared * count, width)  # (n, h, s * Q, D)
    key, value = key.transpose(1, 2), value.transpose(1, 2)  # (n, h, K, D)
    if query.device.type == "cpu" or softcap:
        attended = by_products(query, key, value, mask, scaling, softcap, dropout)
    else:
        attended = by_torch(query, key, value, mask, scaling, dropout)
    attended = attended.view(rows, kept, shared, count, -1).permute(0, 3, 1, 2, 4)
    return attended.reshape(rows, count, heads, -1)


def by_products(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scaling: float,
    softcap: float | None,
    dropout: float,
) -> torch.Tensor:
    """Queries (n, h, s * Q, D) on keys (n, h, K, D), mask (1, 1, Q, K); shaped like the queries."""
    rows, kept, queries, _ = query.shape
    count = mask.shape[2]
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling  # (n, h, s * Q, K)
    if softcap:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores.view(rows, kept, queries // count, count, -1) + mask[:, :, None]
    weights = torch.softmax(scores, -1, dtype=torch.float32).to(query.dtype)
    if dropout:
        weights = torch.dropout(weights, dropout, True)
    return torch.matmul(weights.view(rows, kept, queries, -1), value)


def by_torch(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scaling: float,
    dropout: float,
) -> torch.Tensor:
    """The same by torch's fused function, without a cap."""
    mask = mask.repeat(1, 1, query.shape[2] // mask.shape[2], 1)
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
    )


def cache_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,  # noqa: ARG001
    *,
    packing: Packing,
    **knobs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention in transformers' form: queries (1, H, N, D) and cache buffers; (1, N, H, D)."""
    softcap = knobs.get("softcap")
    if softcap is None:
        softcap = getattr(module, "attn_logit_softcapping", None)
    scoring = Scoring(knobs.get("scaling"), knobs.get("sliding_window"), softcap)
    return attend_to_cache(query[0].transpose(0, 1), key, value, packing, scoring)[None], None


def attend_to_cache(
    tokens: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packing: Packing,
    scoring: Scoring,
) -> torch.Tensor:
    """Attention of the queries `tokens`, (N, H, D), on the cache's buffers; (N, H, D)."""

    def attended(group: Group, queries: torch.Tensor) -> torch.Tensor:
        """Those of (m, Q, H, D), on the group's rows and columns of the cache."""
        keys, values = (each[group.rows, : group.columns] for each in (key, value))
        mask = group.mask(scoring.sliding_window, tokens.dtype)  # 4.
        return _attend(queries, keys, values, mask, scoring)

    last = tokens[packing.ends] if packing.others else tokens  # 2. (n, H, D)
    parts = [attended(group, last[group.rows, None]) for group in packing.last]
    ends = (parts[0] if len(parts) == 1 else torch.cat(parts))[:, 0]  # (n, H, D)
    if not packing.others:
        return ends
    output = ends.new_empty(*tokens.shape[:2], ends.shape[-1])  # (N, H, D)
    output[packing.ends] = ends
    for other in packing.others:  # 3.
        output[other.indices] = attended(other, tokens[other.tokens]).flatten(0, 1)[other.among]
    return output


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scoring: Scoring,
) -> torch.Tensor:
    """Queries (n, Q, H, D) on keys (n, K, h, D), mask (n, 1, Q, K); returns (n, Q, H, D).

    On a CPU torch's own function is the slower one where prompts are read.
    """
    rows, count, heads, width = query.shape
    shared = heads // key.shape[2]
    query = query.view(rows, count, key.shape[2], shared, width).permute(0, 2, 3, 1, 4)
    query = query.reshape(rows, key.shape[2], shared * count, width)  # (n, h, s * Q, D)
    mask = mask.expand(-1, 1, count, -1).repeat(1, 1, shared, 1) if count > 1 else mask
    key, value = key.transpose(1, 2), value.transpose(1, 2)  # (n, h, K, D)
    scale = width**-0.5 if scoring.scaling is None else scoring.scaling
    if scoring.softcap or (shared * count > FEW and query.device.type == "cpu"):
        scores = query @ key.transpose(2, 3) * scale  # (n, h, s * Q, K)
        if scoring.softcap:
            scores = torch.tanh(scores / scoring.softcap) * scoring.softcap
        attended = torch.softmax(scores + mask, -1, dtype=torch.float32).to(query.dtype) @ value
    else:
        mask = mask.expand(-1, -1, query.shape[2], -1)
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=scale
        )
    attended = attended.view(rows, -1, shared, count, attended.shape[-1])
    return attended.permute(0, 3, 1, 2, 4).reshape(rows, count, heads, -1)


def cache_attention_in(model: Any) -> AbstractContextManager[None]:
    """Within the block `model` attends through `cache_attention`."""
    return attention_replaced(model, "chmed_ner_over_cache", cache_attention)


def asked_states(
    model: Any, tokens: Sequence[int], packing: Packing, cache: SlotCache
) -> torch.Tensor:
    """The hidden states of the tokens asked for, (a, H), within `cache_attention_in`."""
    hidden: torch.Tensor = model.base_model(
        input_ids=torch.tensor([tokens], device=model.device),  # (1, N)
        position_ids=packing.positions[None],  # (1, N)
        past_key_values=cache,
        use_cache=True,
        packing=packing,
    ).last_hidden_state[0]  # (N, H), or (a, H) where the last layer is merged
    return hidden if len(hidden) == len(packing.asked) else hidden[packing.asked]
