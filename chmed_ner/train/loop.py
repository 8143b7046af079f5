"""The training loop: AdamW over batches of like length, the best epoch kept."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chmed_ner.errors import InputError, RunError
from chmed_ner.progress import progress
from chmed_ner.train.examples import Example, epoch_batches, shared_prefix
from chmed_ner.train.schedule import SCHEDULES, learning_rate_factor

log = logging.getLogger(__name__)

Log = Callable[[Mapping[str, float], int], None]


@dataclass(frozen=True)
class Recipe:
    """How to tune: the knobs of the loop, checked."""

    learning_rate: float
    epochs: int
    batch_size: int
    schedule: str
    warmup_share: float
    weight_decay: float
    clip_norm: float

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise InputError(f"regime.learning_rate={self.learning_rate}: give more than 0")
        for key in ("epochs", "batch_size"):
            if getattr(self, key) < 1:
                raise InputError(f"regime.{key}={getattr(self, key)}: give 1 or more")
        if self.schedule not in SCHEDULES:
            raise InputError(
                f"regime.schedule={self.schedule!r}: choose one of {', '.join(SCHEDULES)}"
            )
        if not 0 <= self.warmup_share < 1:
            raise InputError(f"regime.warmup_share={self.warmup_share}: give 0 or more, below 1")
        if self.clip_norm <= 0 or self.weight_decay < 0:
            raise InputError("regime: clip_norm must be above 0 and weight_decay not below 0")


def tune(
    model: Any,
    parameters: Sequence[Any],
    examples: Sequence[Example],
    recipe: Recipe,
    *,
    seed: int,
    on_step: Log,
    on_epoch: Callable[[int, int], None],
) -> int:
    """Train `parameters` of a causal LM; returns the number of optimiser steps.

    `on_step(metrics, step)` is told the loss after each step; `on_epoch(epoch, step)` is called
    after each epoch, epochs counted from 1. RunError when the loss is no longer a number.
    """
    import torch

    from chmed_ner.train.answer_loss import answer_loss

    optimiser = torch.optim.AdamW(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    prefix = shared_prefix(examples)
    per_epoch = -(-len(examples) // recipe.batch_size)
    steps = per_epoch * recipe.epochs
    warmup_steps = round(recipe.warmup_share * steps)
    step = 0
    for epoch in range(recipe.epochs):
        model.train()
        began = time.perf_counter()
        with progress(len(examples), f"epoch {epoch + 1}/{recipe.epochs}", "example") as bar:
            for batch in epoch_batches(examples, recipe.batch_size, seed, epoch):
                rate = recipe.learning_rate * learning_rate_factor(
                    recipe.schedule,
                    step=step,
                    steps=steps,
                    epoch=epoch,
                    epochs=recipe.epochs,
                    warmup_steps=warmup_steps,
                )
                for group in optimiser.param_groups:
                    group["lr"] = rate
                loss = answer_loss(model, batch, prefix)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                step += 1
                _report(loss.item(), rate, step, on_step)
                bar.update(len(batch))
        seconds = time.perf_counter() - began
        log.info(
            "epoch %d/%d: %.1f examples/s, last loss %.3f",
            epoch + 1,
            recipe.epochs,
            len(examples) / seconds,
            loss.item(),
        )
        model.eval()
        on_epoch(epoch + 1, step)
    return step


def _report(loss: float, rate: float, step: int, on_step: Log) -> None:
    if loss != loss or loss in (float("inf"), float("-inf")):
        raise RunError(
            f"training step {step}: the loss is {loss}; lower regime.learning_rate (now {rate:g}) "
            "or use backbone.dtype=float32"
        )
    on_step({"train/loss": loss}, step)
