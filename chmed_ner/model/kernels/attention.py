"""Attention within a batch of examples, with gradients: by products on a CPU, by torch on a GPU.

The H / h query heads that share a key head become queries of one head, one after the other, so that
keys are not copied.
"""

import torch
from torch.nn import functional


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
    """The same by torch's fused function."""
    mask = mask.repeat(1, 1, query.shape[2] // mask.shape[2], 1)
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
    )
