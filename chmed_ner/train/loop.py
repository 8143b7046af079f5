"""The training loop: AdamW over batches of like length, the best epoch kept."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chmed_ner.errors import InputError, RunError
from chmed_ner.memory import give_back
from chmed_ner.progress import duration, progress
from chmed_ner.train.examples import Example, epoch_batches, parts_of, shared_prefix
from chmed_ner.train.schedule import SCHEDULES, learning_rate_factor

log = logging.getLogger(__name__)

STEPS_BETWEEN_TRIMS = 10

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
    tokens_at_once: int

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
        if not 0 <= self.warmup_share < 1:
            raise InputError(f"regime.warmup_share={self.warmup_share}: give 0 or more, below 1")
        if not self.clip_norm > 0:
            raise InputError(f"regime.clip_norm={self.clip_norm}: give more than 0")
        if not 0 <= self.weight_decay < math.inf:
            raise InputError(f"regime.weight_decay={self.weight_decay}: give 0 or more")


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

    optimiser = torch.optim.AdamW(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    prefix = shared_prefix(examples)
    per_epoch = -(-len(examples) // recipe.batch_size)
    steps = per_epoch * recipe.epochs
    warmup_steps = round(recipe.warmup_share * steps)
    expected = _seconds_per_token(model, examples, prefix, recipe) * sum(map(len, examples))
    log.info(
        "tuning on %d examples, %d epochs: about %s",
        len(examples),
        recipe.epochs,
        duration(expected * recipe.epochs),
    )
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
                loss = _backward(model, batch, prefix, recipe.tokens_at_once)
                torch.nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                step += 1
                _report(loss, rate, step, on_step)
                if step % STEPS_BETWEEN_TRIMS == 0:
                    give_back()
                bar.update(len(batch))
        seconds = time.perf_counter() - began
        log.info(
            "epoch %d/%d: %.1f examples/s, last loss %.3f",
            epoch + 1,
            recipe.epochs,
            len(examples) / seconds,
            loss,
        )
        model.eval()
        on_epoch(epoch + 1, step)
    return step


def _seconds_per_token(
    model: Any, examples: Sequence[Example], prefix: tuple[int, ...], recipe: Recipe
) -> float:
    """The time of one batch of middling length over its tokens; the second try counts."""
    ordered = sorted(examples, key=len)
    middle = max(0, (len(ordered) - recipe.batch_size) // 2)
    batch = ordered[middle : middle + recipe.batch_size]
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        _backward(model, batch, prefix, recipe.tokens_at_once)
        seconds = time.perf_counter() - began
    model.zero_grad(set_to_none=True)
    return seconds / sum(map(len, batch))


def _backward(model: Any, batch: Sequence[Example], prefix: tuple[int, ...], tokens: int) -> float:
    """Add the gradients of a batch's mean loss, read in parts; returns that loss."""
    from chmed_ner.train.answer_loss import answer_loss

    answers = sum(len(example.answer) for example in batch)
    total = 0.0
    for part in parts_of(batch, tokens):
        share = sum(len(example.answer) for example in part) / answers
        loss = answer_loss(model, part, prefix) * share
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total


def _report(loss: float, rate: float, step: int, on_step: Log) -> None:
    if not math.isfinite(loss):
        raise RunError(
            f"training step {step}: the loss is {loss}; lower regime.learning_rate (now {rate:g}) "
            "or use backbone.dtype=float32"
        )
    on_step({"train/loss": loss}, step)
