"""The epoch that a training keeps, and its state on disk, from which it continues unchanged.

The state is one safetensors file, replaced at once: parameters, the optimiser's moments, the random
number generators, the kept epoch, and the position in the header's metadata. Schedule (a function
of the step) and batches (of seed and epoch) need no state.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from chmed_ner.backbone import Log
from chmed_ner.errors import InputError
from chmed_ner.files import keep
from chmed_ner.train.recipe import Recipe

log = logging.getLogger(__name__)

CHECKPOINT_FILE = "checkpoint.safetensors"


@dataclass
class KeptEpoch:
    """Scores the model after each epoch; copies the `trained` tensors of the best, or of the last.

    `score` gives the F1 (percent) after an epoch; without it the last epoch is kept. `best` is the
    F1 of the kept epoch, -1 before the first.
    """

    score: Callable[[int], float] | None
    trained: Callable[[], Mapping[str, Any]]
    log: Log
    last: bool = False
    best: float = -1.0
    state: dict[str, Any] = field(default_factory=dict)

    def __call__(self, epoch: int, step: int) -> None:
        """Judge epoch `epoch`, counted from 1."""
        f1 = 0.0
        if self.score:
            f1 = self.score(epoch)
            self.log({"train/dev_f1": f1}, step)
            log.info("epoch %d: validation F1 %.2f", epoch, f1)
        if self.last or self.score is None or f1 > self.best:
            self.best = f1
            self.state = {n: tensor.detach().clone() for n, tensor in self.trained().items()}


@dataclass(frozen=True)
class Position:
    """How far a training is: epochs done, batches done of the next one, steps."""

    epoch: int = 0
    batch: int = 0
    step: int = 0


@dataclass
class Checkpoint:
    """The checkpoint of `training` (a `training_id`), written every `minutes` (None: never)."""

    path: Path
    minutes: float | None
    training: str
    kept: KeptEpoch
    parameters: Sequence[Any]
    optimiser: Any
    written: float = field(init=False, default_factory=time.monotonic)

    def due(self) -> bool:
        """Is it time for another one?"""
        elapsed = time.monotonic() - self.written
        return self.minutes is not None and elapsed >= 60 * self.minutes

    def save(self, position: Position) -> None:
        """Replace the state on disk; warn where that fails (a full disk): the training goes on."""
        if self.minutes is None:
            return
        try:
            self._write(position)
        except (OSError, SafetensorError) as error:
            self._partial.unlink(missing_ok=True)
            log.warning("%s: cannot be written (%s); the training goes on", self.path, error)
        self.written = time.monotonic()

    def _write(self, position: Position) -> None:
        tensors, device = {"random.cpu": torch.get_rng_state()}, self.parameters[0].device
        if device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(device)
        for number, parameter in enumerate(self.parameters):
            tensors[f"parameter.{number}"] = parameter.detach()
            for name, moment in self.optimiser.state[parameter].items():
                tensors[f"optimiser.{number}.{name}"] = moment
        tensors |= {f"best.{name}": tensor for name, tensor in self.kept.state.items()}
        about = {"training": self.training, "f1": self.kept.best, "position": asdict(position)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()},
            self._partial,
            metadata={"chmed_ner": json.dumps(about)},
        )
        keep(self._partial, self.path)

    @property
    def _partial(self) -> Path:
        return self.path.with_name(self.path.name + ".partial")

    def restore(self) -> Position:
        """Put the state back, return its position; InputError: broken, or another training's."""
        if not self.path.is_file():
            return Position()
        about, tensors = self._read()
        if about["training"] != self.training:
            raise InputError(
                f"{self.path}: the checkpoint of another training (examples, recipe or seed "
                "differ); repeat that run's settings, or delete the file to train from the start"
            )
        with torch.no_grad():
            for number, parameter in enumerate(self.parameters):
                parameter.copy_(tensors[f"parameter.{number}"])
                self.optimiser.state[parameter] = {  # the step count, a scalar, stays on the CPU
                    name: tensor.to(parameter.device) if tensor.dim() else tensor
                    for name, tensor in _under(tensors, f"optimiser.{number}.").items()
                }
        self.kept.best = about["f1"]
        self.kept.state = _under(tensors, "best.")
        torch.set_rng_state(tensors["random.cpu"])
        device = self.parameters[0].device
        if device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], device)
        return Position(**about["position"])

    def remove(self) -> None:
        """Delete it: the result of the training is saved."""
        self.path.unlink(missing_ok=True)
        self._partial.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            with safe_open(self.path, framework="pt") as file:
                about = json.loads(file.metadata()["chmed_ner"])
                return about, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path}: cannot be read ({error}); delete it to train from the start"
            ) from error


def training_id(recipe: Recipe, examples: Sequence[Any], seed: int) -> str:
    """The SHA-256 of what determines a training, but for the backbone."""
    digest = hashlib.sha256(f"{recipe.knobs()} {seed}".encode())
    for example in examples:
        digest.update(repr(example).encode())
    return digest.hexdigest()


def _under(tensors: dict[str, Any], start: str) -> dict[str, Any]:
    return {k.removeprefix(start): tensor for k, tensor in tensors.items() if k.startswith(start)}
