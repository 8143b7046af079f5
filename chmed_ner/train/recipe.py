"""How to train: the knobs of the training loop, and the learning rate of each step."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar

from chmed_ner.knobs import (
    NO_RESULT,
    Count,
    NotNegative,
    Positive,
    Share,
    marked,
    one_of,
)

SCHEDULES = ("cosine", "cosine_per_epoch", "constant")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The knobs of the training loop; `group` is the configuration group that they belong to.

    An optimiser step sees `batch_size` examples, read in parts of at most `tokens_at_once` tokens
    whose gradients add up (gradient accumulation). `checkpoint_minutes` null: no checkpoints.
    """

    group: ClassVar[str] = "regime"

    learning_rate: Positive
    epochs: Count
    batch_size: Count
    schedule: Annotated[str, one_of(*SCHEDULES)]
    warmup_share: Share
    weight_decay: NotNegative
    clip_norm: Positive
    tokens_at_once: Count
    checkpoint_minutes: Annotated[NotNegative | None, NO_RESULT]

    def knobs(self) -> dict[str, Any]:
        """The knobs by name, without those that change no result."""
        constructor: Callable[..., Any] = type(self)
        left_out = marked(constructor, NO_RESULT)
        names = [each.name for each in fields(self) if each.name not in left_out]
        return {name: getattr(self, name) for name in names}


def learning_rate_factor(
    schedule: str, *, step: int, steps: int, epoch: int, epochs: int, warmup_steps: int
) -> float:
    """The factor of the peak rate for step `step` (from 0) of `steps`, in epoch `epoch` (from 0).

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
