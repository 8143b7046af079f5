"""One forward pass over the new tokens of many sentences, laid end to end without padding.

The model sees a single row of N tokens with their positions, so its linear layers compute nothing
but real tokens, new prompts and decoded tokens side by side. Only attention knows the sentences. It
is registered with transformers under NAME, and for each layer:

1. gets queries of the N tokens, (1, H, N, D), and the cache's buffers, (slots, columns, h, D),
   which already hold the new tokens' keys and values;
2. lets each sentence's last token attend, all sentences in one call (or two), straight from the
   cache;
3. lets the other tokens of sentences that bring several attend, in further calls;
4. masks each group itself: causal and, where a layer says so, within its sliding window.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from chmed_ner.model.kernels.cache import SlotCache
from chmed_ner.model.kernels.packing import Group, Packing
from chmed_ner.model.kernels.replacing import attention_replaced

NAME = "chmed_ner_over_cache"

FEW = 16
"""Up to this many queries of a row, torch's attention is faster than two products on a CPU too."""


@dataclass(frozen=True)
class Scoring:
    """How a layer scores its keys: None for 1 / sqrt(D), for all columns, for no cap."""

    scaling: float | None
    sliding_window: int | None
    softcap: float | None


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
    """As transformers' attention functions: queries (1, H, N, D), cache buffers; (1, N, H, D)."""
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

    The H / h query heads that share a key head become queries of one head, side by side, so that
    keys are not copied. On a CPU torch's own function is the slower one where prompts are read.
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


@contextmanager
def cache_attention_in(model: Any) -> Iterator[None]:
    """Within the block `model` attends through `cache_attention`; then as before."""
    with attention_replaced(model, NAME, cache_attention):
        yield


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
