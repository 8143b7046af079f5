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
    """The knobs of the training loop in the configuration `group`; see `conf/recipe/loop.yaml`."""

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

    def rate_factor(self, step: int, steps: int, epoch: int) -> float:
        """The factor of the peak rate at `step` of `steps`, in `epoch`, both from 0.

        `cosine`: linear warm-up, then half a cosine down to 0. `cosine_per_epoch`: the half cosine
        moves on only after each epoch (the LingX paper).
        """
        warmup = round(self.warmup_share * steps)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "cosine_per_epoch":
            return 0.5 * (1.0 + math.cos(math.pi * epoch / self.epochs))
        progress = (step - warmup) / max(1, steps - warmup)
        return 0.5 * (1.0 + math.cos(math.pi * progress))
