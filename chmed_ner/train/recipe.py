"""How to tune: the knobs of the training loop, checked."""

import math
from dataclasses import dataclass, field

from chmed_ner.errors import InputError
from chmed_ner.train.schedule import SCHEDULES


@dataclass(frozen=True)
class Recipe:
    """The knobs of the loop; InputError for a value that makes no sense.

    An optimiser step sees `batch_size` examples, read in parts of at most `tokens_at_once` tokens
    whose gradients add up (gradient accumulation). `max_tokens` cuts prompt and answer together.
    With an `average_decay`, what is scored and saved is an average of the weights over the steps.
    With `candidate_softmax`, the loss is over each sentence's candidate tokens (`candidates`).
    `keep` is the epoch that is saved: the `best` one by validation F1, or the `last`.
    """

    learning_rate: float
    epochs: int
    batch_size: int
    schedule: str
    warmup_share: float
    weight_decay: float
    clip_norm: float
    tokens_at_once: int
    max_tokens: int | None = None
    activation_checkpointing: bool = False
    average_decay: float | None = field(default=None, repr=False)  # see checkpoint.training_id
    candidate_softmax: bool = field(default=False, repr=False)
    keep: str = field(default="best", repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"regime.learning_rate={self.learning_rate}: give more than 0")
        for key in ("epochs", "batch_size", "tokens_at_once"):
            if getattr(self, key) < 1:
                raise InputError(f"regime.{key}={getattr(self, key)}: give 1 or more")
        if self.schedule not in SCHEDULES:
            raise InputError(
                f"regime.schedule={self.schedule!r}: choose one of {', '.join(SCHEDULES)}"
            )
        if self.keep not in ("best", "last"):
            raise InputError(f"regime.keep={self.keep!r}: choose best or last")
        if not 0 <= self.warmup_share < 1:
            raise InputError(f"regime.warmup_share={self.warmup_share}: give 0 or more, below 1")
        if not self.clip_norm > 0:
            raise InputError(f"regime.clip_norm={self.clip_norm}: give more than 0")
        if not 0 <= self.weight_decay < math.inf:
            raise InputError(f"regime.weight_decay={self.weight_decay}: give 0 or more")
        if self.average_decay is not None and not 0 < self.average_decay < 1:
            raise InputError(
                f"regime.average_decay={self.average_decay}: give more than 0 and less than 1, "
                "such as 0.99, or null for no average"
            )
        if self.max_tokens is not None and self.max_tokens < 2:
            raise InputError(f"regime.max_tokens={self.max_tokens}: give 2 or more, or null")
