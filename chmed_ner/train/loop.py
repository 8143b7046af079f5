"""The training loop: AdamW over batches of like length, checkpoints, one or several processes."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from chmed_ner.backbone.task import Log
from chmed_ner.errors import InputError, RunError
from chmed_ner.machine import duration, give_back, progress
from chmed_ner.train.averaging import WeightAverage
from chmed_ner.train.checkpoint import Checkpoint, Position
from chmed_ner.train.examples import (
    Example,
    epoch_batches,
    packed_parts_of,
    parts_of,
    shared_prefix,
)
from chmed_ner.train.master_weights import MasterWeights
from chmed_ner.train.parallel import Processes
from chmed_ner.train.recipe import Recipe
from chmed_ner.train.schedule import learning_rate_factor

log = logging.getLogger(__name__)

STEPS_BETWEEN_TRIMS = 10


class Training:
    """A training of a causal LM's trainable parameters, from its start or its checkpoint.

    `on_step(metrics, step)` is told the loss after each step; `on_epoch(epoch, step)` is called
    after each epoch, epochs counted from 1, and finds the average in the model where the recipe
    asks for one. With several `processes` each reads its part of every
    batch, and the sums are those of one process.
    """

    def __init__(
        self,
        model: Any,
        examples: Sequence[Example],
        recipe: Recipe,
        *,
        seed: int,
        on_step: Log,
        on_epoch: Callable[[int, int], None],
        checkpoint: Checkpoint,
        processes: Processes,
    ) -> None:
        import torch

        self.model = model
        self.examples = examples
        self.recipe = recipe
        self.seed = seed
        self.on_step = on_step
        self.on_epoch = on_epoch
        self.checkpoint = checkpoint
        self.processes = processes
        self.weights = MasterWeights(model)
        self.parameters = self.weights.parameters
        self.average = WeightAverage(self.weights, recipe.average_decay)
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.prefix = shared_prefix(examples)
        if recipe.activation_checkpointing:  # layers that are computed again take no cache
            self.prefix = ()
            _checkpoint_activations(model)
        self.packed = not recipe.activation_checkpointing and _packable(
            model, examples, self.prefix
        )
        if not self.packed and not recipe.activation_checkpointing:
            log.warning(
                "%s: batches cannot be packed with this model; they are padded, which is slower",
                type(model).__name__,
            )
        self.steps = -(-len(examples) // recipe.batch_size) * recipe.epochs

    def run(self) -> int:
        """Train to the end; returns the number of optimiser steps.

        RunError when the loss is no longer a number, InputError for a checkpoint that is broken or
        another training's.
        """
        from chmed_ner.model.kernels.adapters import fused_layers_in

        with fused_layers_in(self.model):
            self._announce()
        position = self.checkpoint.restore(self.parameters, self.optimiser, self.average.tensors)
        self.weights.publish()
        if position.step:
            log.info("the training goes on after step %d of %d", position.step, self.steps)
        step = position.step
        for epoch in range(position.epoch, self.recipe.epochs):
            done = position.batch if epoch == position.epoch else 0
            with fused_layers_in(self.model):
                step = self._epoch(epoch, done, step)
            self.model.eval()
            if self.processes.first:
                with self.average.in_model():
                    self.on_epoch(epoch + 1, step)
                if epoch + 1 < self.recipe.epochs:
                    self._save(Position(epoch + 1, 0, step))
        return step

    def _announce(self) -> None:
        tokens = sum(map(len, self.examples)) * self.recipe.epochs / self.processes.count
        log.info(
            "tuning on %d examples, %d epochs: about %s",
            len(self.examples),
            self.recipe.epochs,
            duration(self._seconds_per_token() * tokens),
        )

    def _epoch(self, epoch: int, done: int, step: int) -> int:
        """One pass over the examples but for the first `done` batches; returns the steps so far."""
        recipe, began, loss = self.recipe, time.perf_counter(), math.nan
        batches = epoch_batches(self.examples, recipe.batch_size, self.seed, epoch)
        if done == len(batches):  # it was interrupted while its model was scored
            return step
        examples = sum(map(len, batches[done:]))
        self.model.train()
        with progress(examples, f"epoch {epoch + 1}/{recipe.epochs}", "example") as bar:
            for number, batch in enumerate(batches[done:], start=done + 1):
                rate = self._rate(epoch, step)
                loss = self._step(batch, rate, step)
                step += 1
                if self.processes.first:
                    self.on_step({"train/loss": loss}, step)
                    if self.checkpoint.due():
                        self._save(Position(epoch, number, step))
                if step % STEPS_BETWEEN_TRIMS == 0:
                    give_back()
                bar.update(len(batch))
        log.info(
            "epoch %d/%d: %.1f examples/s, last loss %.3f",
            epoch + 1,
            recipe.epochs,
            examples / (time.perf_counter() - began),
            loss,
        )
        return step

    def _rate(self, epoch: int, step: int) -> float:
        recipe = self.recipe
        return recipe.learning_rate * learning_rate_factor(
            recipe.schedule,
            step=step,
            steps=self.steps,
            epoch=epoch,
            epochs=recipe.epochs,
            warmup_steps=round(recipe.warmup_share * self.steps),
        )

    def _step(self, batch: Sequence[Example], rate: float, step: int) -> float:
        """One optimiser step on `batch`; returns its mean loss."""
        import torch

        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.processes.own_chance(self.seed, step)
        loss = self._backward(self.processes.part(batch), answers_in(batch))
        loss = self.processes.add_up(self.parameters, loss)
        _check(loss, step + 1, rate)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.weights.publish()
        self.average.update(step + 1)
        return loss

    def _backward(self, batch: Sequence[Example], answers: int) -> float:
        """Add the gradients of `batch`, read in parts; returns its share of the mean loss.

        The mean is over the `answers` tokens of the whole batch, of which this may be a part.
        """
        from chmed_ner.train.answer_loss import answer_loss

        total = 0.0
        for part in self._parts(batch):
            loss = answer_loss(self.model, part, self.prefix, packed=self.packed)
            loss = loss * (answers_in(part) / answers)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        return total

    def _parts(self, batch: Sequence[Example]) -> list[list[Example]]:
        if self.packed:
            return packed_parts_of(batch, self.recipe.tokens_at_once, len(self.prefix))
        return parts_of(batch, self.recipe.tokens_at_once)

    def _seconds_per_token(self) -> float:
        """The time of one batch of middling length over its tokens; the second try counts."""
        import torch

        ordered = sorted(self.examples, key=len)
        middle = max(0, (len(ordered) - self.recipe.batch_size) // 2)
        batch = ordered[middle : middle + self.recipe.batch_size]
        seconds = 0.0
        places = {each.device for each in self.parameters if each.device.type == "cuda"}
        self.model.train()  # only then are layers computed again, which takes less memory
        with torch.random.fork_rng(places):  # dropout's draws are those of the first step again
            for _ in range(2):
                began = time.perf_counter()
                self._backward(batch, answers_in(batch))
                seconds = time.perf_counter() - began
        self.optimiser.zero_grad(set_to_none=True)
        return seconds / sum(map(len, batch))

    def _save(self, position: Position) -> None:
        self.checkpoint.save(position, self.parameters, self.optimiser, self.average.tensors)


def answers_in(batch: Sequence[Example]) -> int:
    """The tokens of a batch's answers, which the loss is the mean over."""
    return sum(len(example.answer) for example in batch)


def _packable(model: Any, examples: Sequence[Example], prefix: tuple[int, ...]) -> bool:
    from chmed_ner.train.packed import packable

    return packable(model, examples, prefix)


def _checkpoint_activations(model: Any) -> None:
    """Let layers forget their activations and compute them again in the backward pass."""
    try:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    except ValueError as error:
        raise InputError(
            f"regime.activation_checkpointing=true: {type(model).__name__} does not offer it "
            f"({error}); lower regime.tokens_at_once instead"
        ) from None


def _check(loss: float, step: int, rate: float) -> None:
    if not math.isfinite(loss):
        raise RunError(
            f"training step {step}: the loss is {loss}; lower regime.learning_rate (now {rate:g}) "
            "or use backbone.dtype=float32"
        )
