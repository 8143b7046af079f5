"""The knobs of a tagger: how it is built and how it is trained, checked."""

import math
from dataclasses import dataclass

from chmed_ner.errors import InputError
from chmed_ner.methods.tagger.alignment import PIECES
from chmed_ner.train.schedule import SCHEDULES


@dataclass(frozen=True)
class Architecture:
    """How a tagger is built; InputError for a value that makes no sense.

    `rank` None tunes every weight of the transformer, else LoRA adapters of that rank. `window` is
    the most tokens that are read at once.
    """

    rank: int | None
    alpha: float
    lora_dropout: float
    targets: str | list[str]
    bidirectional: bool
    repeat: bool
    pieces: str
    crf: bool
    recurrent: int
    dropout: float
    window: int

    def __post_init__(self) -> None:
        if self.rank is not None and self.rank < 1:
            raise InputError(f"method.rank={self.rank}: give 1 or more, or null for all weights")
        if not 0 < self.alpha < math.inf:
            raise InputError(f"method.alpha={self.alpha}: give more than 0, or null for 2 * rank")
        for key in ("lora_dropout", "dropout"):
            if not 0 <= getattr(self, key) < 1:
                raise InputError(f"method.{key}={getattr(self, key)}: give 0 or more, below 1")
        if self.pieces not in PIECES:
            raise InputError(f"method.pieces={self.pieces!r}: choose one of {', '.join(PIECES)}")
        if self.recurrent < 0:
            raise InputError(f"method.recurrent={self.recurrent}: give 0 (none) or more")
        if self.window < 1:
            raise InputError(f"method.window={self.window}: give 1 or more")


@dataclass(frozen=True)
class Recipe:
    """How a tagger is trained; InputError for a value that makes no sense.

    An optimiser step sees `batch_size` sentences, read in parts of at most `tokens_at_once` tokens
    whose gradients add up.
    """

    learning_rate: float
    head_learning_rate: float
    epochs: int
    batch_size: int
    schedule: str
    warmup_share: float
    weight_decay: float
    clip_norm: float
    tokens_at_once: int

    def __post_init__(self) -> None:
        for key in ("learning_rate", "head_learning_rate", "clip_norm"):
            if not 0 < getattr(self, key) < math.inf:
                raise InputError(f"method.{key}={getattr(self, key)}: give more than 0")
        for key in ("epochs", "batch_size", "tokens_at_once"):
            if getattr(self, key) < 1:
                raise InputError(f"method.{key}={getattr(self, key)}: give 1 or more")
        if self.schedule not in SCHEDULES:
            raise InputError(
                f"method.schedule={self.schedule!r}: choose one of {', '.join(SCHEDULES)}"
            )
        if not 0 <= self.warmup_share < 1:
            raise InputError(f"method.warmup_share={self.warmup_share}: give 0 or more, below 1")
        if not 0 <= self.weight_decay < math.inf:
            raise InputError(f"method.weight_decay={self.weight_decay}: give 0 or more")
