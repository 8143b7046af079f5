"""The training loop: AdamW over batches of like length, checkpoints, one or several processes."""

import logging
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from chmed_ner.errors import RunError
from chmed_ner.machine import duration, give_back, progress
from chmed_ner.model import fused_layers_in
from chmed_ner.train.checkpoint import CHECKPOINT_FILE, Checkpoint, KeptEpoch, Position, training_id
from chmed_ner.train.parallel import Processes
from chmed_ner.train.recipe import Learnable, Recipe, epoch_batches

log = logging.getLogger(__name__)


STEPS_BETWEEN_TRIMS = 10


class Objective(Protocol):
    """What is minimised: a loss of `model`, the mean over a batch's terms, tokens or characters."""

    model: Any

    @property
    def groups(self) -> Sequence[tuple[Iterable[Any], float]]:
        """Parameters of the model, each group with its peak learning rate."""

    def parts(self, batch: Sequence[Any]) -> list[list[Any]]:
        """The batch, cut into parts that fit the memory."""

    def terms(self, batch: Sequence[Any]) -> int:
        """How many terms the batch has."""

    def loss(self, part: Sequence[Any], terms: int) -> Any:
        """The sum of the part's losses over `terms` of the batch, with gradient."""


class MasterWeights:
    """Those of a model's `parameters` that are trained, as float32 `parameters`.

    A parameter in half precision has a float32 master copy (Micikevicius et al. 2018): bfloat16
    would lose an update below 1/256 of a weight. Gradients move to the copy as each backward pass
    forms them: the parts of a batch add up in float32.
    """

    def __init__(self, parameters: Iterable[Any]) -> None:
        self._copies: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.parameters: list[torch.Tensor] = [
            self._master_of(parameter) for parameter in parameters if parameter.requires_grad
        ]

    def publish(self) -> None:
        """Round the masters into the model's own weights."""
        with torch.no_grad():
            for parameter, master in self._copies:
                parameter.copy_(master)

    def _master_of(self, parameter: torch.Tensor) -> torch.Tensor:
        if parameter.dtype == torch.float32:
            return parameter
        master = parameter.detach().float().clone().requires_grad_()
        self._copies.append((parameter, master))

        def move_gradient(half: Any) -> None:
            gradient = half.grad.float()
            master.grad = gradient if master.grad is None else master.grad.add_(gradient)
            half.grad = None

        parameter.register_post_accumulate_grad_hook(move_gradient)  # type: ignore[no-untyped-call]
        return master


@dataclass
class Training:
    """A training from its start or checkpoint; each of `processes` reads a part of every batch."""

    objective: Objective
    examples: Sequence[Learnable]
    recipe: Recipe
    kept: KeptEpoch
    seed: int
    directory: Path
    processes: Processes = field(default_factory=Processes)

    def __post_init__(self) -> None:
        recipe, groups = self.recipe, self.objective.groups
        self.model = self.objective.model
        self.weights = [MasterWeights(parameters) for parameters, _ in groups]
        self.rates = [rate for _, rate in groups]
        self.parameters = [each for weights in self.weights for each in weights.parameters]
        self.optimiser = torch.optim.AdamW(
            [{"params": weights.parameters} for weights in self.weights],
            weight_decay=recipe.weight_decay,
        )
        self.checkpoint = Checkpoint(
            self.directory / CHECKPOINT_FILE,
            recipe.checkpoint_minutes,
            training_id(recipe, self.examples, self.seed),
            self.kept,
            self.parameters,
            self.optimiser,
        )
        self.steps = -(-len(self.examples) // recipe.batch_size) * recipe.epochs

    def run(self) -> None:
        """Train to the end; RunError: the loss is no number, InputError: unfit checkpoint."""
        with fused_layers_in(self.model):
            self._announce()
        position = self.checkpoint.restore()
        self._publish()
        if position.step:
            log.info("the training goes on after step %d of %d", position.step, self.steps)
        step = position.step
        for epoch in range(position.epoch, self.recipe.epochs):
            done = position.batch if epoch == position.epoch else 0
            with fused_layers_in(self.model):
                step = self._epoch(epoch, done, step)
            self.model.eval()
            if self.processes.first:
                self.kept(epoch + 1, step)
                if epoch + 1 < self.recipe.epochs:
                    self.checkpoint.save(Position(epoch + 1, 0, step))

    def _announce(self) -> None:
        tokens = sum(map(len, self.examples)) * self.recipe.epochs / self.processes.count
        log.info(
            "tuning on %d examples, %d epochs: about %s",
            len(self.examples),
            self.recipe.epochs,
            duration(self._seconds_per_token() * tokens),
        )

    def _seconds_per_token(self) -> float:
        """The time of one batch of middling length over its tokens; the second try counts."""
        ordered = sorted(self.examples, key=len)
        middle = max(0, (len(ordered) - self.recipe.batch_size) // 2)
        batch = ordered[middle : middle + self.recipe.batch_size]
        seconds = 0.0
        places = {each.device for each in self.parameters if each.device.type == "cuda"}
        self.model.train()  # only then are layers computed again, which takes less memory
        with torch.random.fork_rng(places):  # dropout's draws are those of the first step again
            for _ in range(2):
                began = time.perf_counter()
                self._backward(batch, self.objective.terms(batch))
                seconds = time.perf_counter() - began
        self.optimiser.zero_grad(set_to_none=True)
        return seconds / sum(map(len, batch))

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
                loss = self._step(batch, epoch, step)
                step += 1
                if self.processes.first:
                    self.kept.log({"train/loss": loss}, step)
                    if self.checkpoint.due():
                        self.checkpoint.save(Position(epoch, number, step))
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

    def _step(self, batch: Sequence[Learnable], epoch: int, step: int) -> float:
        """One optimiser step on `batch`; returns its mean loss."""
        factor = self.recipe.rate_factor(step, self.steps, epoch)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.processes.own_chance(self.seed, step)
        loss = self._backward(self.processes.part(batch), self.objective.terms(batch))
        loss = self.processes.add_up(self.parameters, loss)
        if not math.isfinite(loss):
            rate = self.optimiser.param_groups[0]["lr"]
            raise RunError(
                f"training step {step + 1}: the loss is {loss}; lower {self.recipe.group}."
                f"learning_rate (now {rate:g}) or use backbone.dtype=float32"
            )
        torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._publish()
        return loss

    def _backward(self, batch: Sequence[Learnable], terms: int) -> float:
        """Add the gradients of `batch`, read in parts; return its part of the mean over `terms`."""
        total = 0.0
        for part in self.objective.parts(batch):
            loss = self.objective.loss(part, terms)
            loss.backward()
            total += loss.item()
        return total

    def _publish(self) -> None:
        for weights in self.weights:
            weights.publish()
