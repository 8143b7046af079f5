"""What attention may not see, as numbers that are added to its scores."""

import torch


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
