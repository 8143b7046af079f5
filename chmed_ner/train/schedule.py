"""Learning-rate schedules, as factors of the peak rate."""

import math

SCHEDULES = ("cosine", "cosine_per_epoch", "constant")


def learning_rate_factor(
    schedule: str, *, step: int, steps: int, epoch: int, epochs: int, warmup_steps: int
) -> float:
    """The factor for optimiser step `step` (from 0) of `steps`, in epoch `epoch` of `epochs`.

    `cosine`: linear warm-up, then half a cosine down to 0 over the steps that remain.
    `cosine_per_epoch`: the same half cosine, moved on only after each epoch (the LingX paper).
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if schedule == "constant":
        return 1.0
    if schedule == "cosine_per_epoch":
        return 0.5 * (1.0 + math.cos(math.pi * epoch / epochs))
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * progress))
