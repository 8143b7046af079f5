"""The training of a tagger: AdamW with a rate of its own for the head, the best epoch kept."""

import hashlib
import logging
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from chmed_ner.errors import RunError
from chmed_ner.machine import duration, give_back, progress
from chmed_ner.methods.tagger.network import Features, TaggerNetwork, batch_of
from chmed_ner.methods.tagger.reading import Reading
from chmed_ner.methods.tagger.recipe import Recipe
from chmed_ner.model.kernels.adapters import fused_layers_in
from chmed_ner.train.checkpoint import Checkpoint, Position
from chmed_ner.train.master_weights import MasterWeights
from chmed_ner.train.schedule import learning_rate_factor

log = logging.getLogger(__name__)

POOL = 50
"""Batches whose sentences are sorted by length together."""

STEPS_BETWEEN_TRIMS = 10
STEPS_BEFORE_ESTIMATE = 20


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence as it is learnt: what is read, its features, the number of each gold tag."""

    reading: Reading
    features: Features
    tags: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.reading)


class BestEpoch:
    """Scores the network after each epoch by `score` (percent; None: nothing to score on, the last
    epoch is kept) and remembers the trained tensors of the best one, the first of equals."""

    def __init__(
        self,
        network: TaggerNetwork,
        score: Callable[[], float] | None,
        tell: Callable[[Mapping[str, float], int], None],
    ) -> None:
        self.network = network
        self.score = score
        self.tell = tell
        self.best = -1.0
        self.state: dict[str, Any] = {}

    def __call__(self, epoch: int, step: int) -> None:
        """Called after epoch `epoch`, counted from 1."""
        f1 = 0.0
        if self.score:
            f1 = self.score()
            self.tell({"train/dev_f1": f1}, step)
            log.info("epoch %d: validation F1 %.2f", epoch, f1)
        if f1 > self.best or not self.score:
            self.best = f1
            self.state = {n: p.detach().clone() for n, p in self.network.trained().items()}


class Training:
    """A training of a network's trainable parameters, from its start or its checkpoint."""

    def __init__(
        self,
        network: TaggerNetwork,
        examples: Sequence[Example],
        recipe: Recipe,
        best: BestEpoch,
        checkpoint: Checkpoint,
        *,
        seed: int,
    ) -> None:
        self.network = network
        self.examples = examples
        self.recipe = recipe
        self.best = best
        self.checkpoint = checkpoint
        self.seed = seed
        self.weights = MasterWeights(network.base)
        base = self.weights.parameters
        head = [p for name, p in network.named_parameters() if not name.startswith("base.")]
        self.parameters = [*base, *head]
        self.rates = (recipe.learning_rate, recipe.head_learning_rate)
        groups: list[dict[str, Any]] = [{"params": base}, {"params": head}]
        self.optimiser = torch.optim.AdamW(groups, lr=0.0, weight_decay=recipe.weight_decay)
        self.steps = -(-len(examples) // recipe.batch_size) * recipe.epochs

    def run(self) -> None:
        """Train to the end.

        RunError when the loss is no longer a number, InputError for a checkpoint that is broken or
        another training's.
        """
        position = self.checkpoint.restore(self.parameters, self.optimiser)
        self.weights.publish()
        if position.step:
            log.info("the training goes on after step %d of %d", position.step, self.steps)
        step = position.step
        for epoch in range(position.epoch, self.recipe.epochs):
            done = position.batch if epoch == position.epoch else 0
            step = self._epoch(epoch, done, step)
            self.best(epoch + 1, step)
            if epoch + 1 < self.recipe.epochs:
                self.checkpoint.save(Position(epoch + 1, 0, step), self.parameters, self.optimiser)

    def _epoch(self, epoch: int, done: int, step: int) -> int:
        """One pass over the examples but for the first `done` batches; returns the steps so far."""
        lengths = list(map(len, self.examples))
        batches = batches_of(lengths, self.recipe.batch_size, self.seed, epoch)[done:]
        count, began, loss = sum(map(len, batches)), time.perf_counter(), math.nan
        self.network.train()
        bars = progress(count, f"epoch {epoch + 1}/{self.recipe.epochs}", "sentence")
        with fused_layers_in(self.network.base), bars as bar:
            for number, batch in enumerate(batches, start=1):
                loss = self._step([self.examples[at] for at in batch], epoch, step)
                step += 1
                self.best.tell({"train/loss": loss}, step)
                if self.checkpoint.due():
                    position = Position(epoch, done + number, step)
                    self.checkpoint.save(position, self.parameters, self.optimiser)
                if number == STEPS_BEFORE_ESTIMATE:
                    self._estimate((time.perf_counter() - began) / number, step)
                if step % STEPS_BETWEEN_TRIMS == 0:
                    give_back()
                bar.update(len(batch))
        seconds = time.perf_counter() - began
        log.info(
            "epoch %d/%d: %.1f sentences/s, last loss %.3f",
            epoch + 1, self.recipe.epochs, count / seconds, loss,
        )  # fmt: skip
        return step

    def _estimate(self, seconds_a_step: float, step: int) -> None:
        left = duration(seconds_a_step * (self.steps - step))
        log.info("step %d of %d: about %s left", step, self.steps, left)

    def _step(self, batch: Sequence[Example], epoch: int, step: int) -> float:
        """One optimiser step; returns the loss, the mean over the batch's characters."""
        factor = learning_rate_factor(
            self.recipe.schedule,
            step=step,
            steps=self.steps,
            epoch=epoch,
            epochs=self.recipe.epochs,
            warmup_steps=round(self.recipe.warmup_share * self.steps),
        )
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        characters = sum(len(example.tags) for example in batch)
        total = 0.0
        for part in parts_of(batch, self.recipe.tokens_at_once):
            tensors = batch_of(
                [each.reading for each in part],
                [each.features for each in part],
                [each.tags for each in part],
                self.network.base.device,
            )
            loss = self.network.loss(tensors) / characters
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        if not math.isfinite(total):
            raise RunError(
                f"training step {step + 1}: the loss is {total}; lower method.learning_rate (now "
                f"{self.recipe.learning_rate:g}) or use backbone.dtype=float32"
            )
        torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.weights.publish()
        return total


def batches_of(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """One pass over all examples, by number, in random batches of like length.

    Shuffled, cut into pools of POOL batches, sorted by length within a pool, and the batches
    shuffled again. Depends on lengths, seed and epoch only.
    """
    chance = random.Random(f"batches {seed} {epoch}")
    order = list(range(len(lengths)))
    chance.shuffle(order)
    batches = []
    for start in range(0, len(order), POOL * batch_size):
        pool = sorted(order[start : start + POOL * batch_size], key=lambda at: lengths[at])
        batches += [pool[at : at + batch_size] for at in range(0, len(pool), batch_size)]
    chance.shuffle(batches)
    return batches


def parts_of(batch: Sequence[Example], tokens: int) -> list[list[Example]]:
    """A batch cut into parts of at most `tokens` tokens with padding (at least one example)."""
    parts: list[list[Example]] = []
    rows = longest = 0
    for example in sorted(batch, key=lambda each: max(map(len, each.reading.rows))):
        longest = max(longest, *map(len, example.reading.rows))
        rows += len(example.reading.rows)
        if parts and rows * longest <= tokens:
            parts[-1].append(example)
        else:
            parts.append([example])
            rows, longest = len(example.reading.rows), max(map(len, example.reading.rows))
    return parts


def training_id(examples: Sequence[Example], recipe: Recipe, names: object, seed: int) -> str:
    """The SHA-256 of what determines a training beside the backbone's weights."""
    digest = hashlib.sha256(f"{recipe} {names} {seed}".encode())
    for example in examples:
        digest.update(repr(example).encode())
    return digest.hexdigest()
