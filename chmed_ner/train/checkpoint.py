"""The state of a training on disk, from which it continues as if it had never stopped.

One safetensors file, replaced as a whole: parameters, their average if there is one, the
optimiser's moments, the random number generators, the best epoch so far, and in the header's
metadata the position as JSON. The schedule needs no state of its own (it is a function of the
step), nor do the batches (of seed and epoch).
"""

import hashlib
import json
import logging
import os
import time
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from chmed_ner.errors import InputError
from chmed_ner.train.examples import Example
from chmed_ner.train.recipe import Recipe

log = logging.getLogger(__name__)

FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Position:
    """How far a training is: epochs done, batches done of the next one, optimiser steps."""

    epoch: int = 0
    batch: int = 0
    step: int = 0


class Best(Protocol):
    """The best epoch so far: its validation F1 (-1 before the first) and its tensors."""

    best: float
    state: dict[str, Any]


class Checkpoint:
    """The checkpoint of a training in a run directory, written every `minutes` (None: never)."""

    def __init__(
        self, directory: Path, minutes: float | None, training: str, best: Best, device: Any
    ) -> None:
        self.path = directory / FILE
        self.minutes = minutes
        self.training = training
        self.best = best
        self.device = device
        self.written = time.monotonic()

    def due(self) -> bool:
        """Is it time for another one?"""
        if self.minutes is None:
            return False
        return time.monotonic() - self.written >= 60 * self.minutes

    def save(
        self,
        position: Position,
        parameters: Sequence[Any],
        optimiser: Any,
        average: Sequence[Any] = (),
    ) -> None:
        """Write the state; one that was there is replaced when the new one is whole on the disk.

        Where it cannot be written (a full disk) the training goes on, with a warning.
        """
        if self.minutes is None:
            return
        from safetensors import SafetensorError

        try:
            self._write(position, parameters, optimiser, average)
        except (OSError, SafetensorError) as error:
            self._partial.unlink(missing_ok=True)
            log.warning("%s: cannot be written (%s); the training goes on", self.path, error)
        self.written = time.monotonic()

    def _write(
        self,
        position: Position,
        parameters: Sequence[Any],
        optimiser: Any,
        average: Sequence[Any],
    ) -> None:
        from safetensors.torch import save_file

        tensors = {f"random.{name}": state for name, state in _random(self.device).items()}
        for number, parameter in enumerate(parameters):
            tensors[f"parameter.{number}"] = parameter.detach()
            for name, moment in optimiser.state[parameter].items():
                tensors[f"optimiser.{number}.{name}"] = moment
        tensors |= {f"average.{number}": tensor for number, tensor in enumerate(average)}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.state.items()}
        about = {"training": self.training, "f1": self.best.best, "position": asdict(position)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()},
            self._partial,
            metadata={"chmed_ner": json.dumps(about)},
        )
        with self._partial.open("rb+") as file:
            os.fsync(file.fileno())
        self._partial.replace(self.path)

    @property
    def _partial(self) -> Path:
        return self.path.with_name(FILE + ".partial")

    def restore(
        self, parameters: Sequence[Any], optimiser: Any, average: Sequence[Any] = ()
    ) -> Position:
        """Put the state back, if there is one; the position it was written at.

        InputError when it cannot be read or belongs to another training.
        """
        import torch

        if not self.path.is_file():
            return Position()
        about, tensors = self._read()
        if about["training"] != self.training:
            raise InputError(
                f"{self.path}: the checkpoint of another training (examples, recipe or seed "
                "differ); repeat that run's settings, or delete the file to train from the start"
            )
        with torch.no_grad():
            for number, parameter in enumerate(parameters):
                parameter.copy_(tensors[f"parameter.{number}"])
                start = f"optimiser.{number}."
                optimiser.state[parameter] = {
                    name.removeprefix(start): _placed(tensor, parameter)
                    for name, tensor in tensors.items()
                    if name.startswith(start)
                }
            for number, tensor in enumerate(average):
                tensor.copy_(tensors[f"average.{number}"])
        self.best.best = about["f1"]
        self.best.state = _under(tensors, "best.")
        _restore_random(_under(tensors, "random."), self.device)
        return Position(**about["position"])

    def remove(self) -> None:
        """Delete it: the training is done, and its result is saved."""
        self.path.unlink(missing_ok=True)
        self._partial.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, Any], dict[str, Any]]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt") as file:
                about = json.loads(file.metadata()["chmed_ner"])
                return about, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path}: cannot be read ({error}); delete it to train from the start"
            ) from error


def training_id(examples: Sequence[Example], recipe: Recipe, seed: int) -> str:
    """The SHA-256 of what determines a training beside the backbone."""
    average = "" if recipe.average_decay is None else f" average {recipe.average_decay}"
    softmax = " candidate softmax" if recipe.candidate_softmax else ""
    digest = hashlib.sha256(f"{recipe} {seed}{average}{softmax}".encode())
    for example in examples:
        digest.update(array("q", [*example.prompt, -1, *example.answer, -2]).tobytes())
    return digest.hexdigest()


def _under(tensors: dict[str, Any], start: str) -> dict[str, Any]:
    return {k.removeprefix(start): tensor for k, tensor in tensors.items() if k.startswith(start)}


def _placed(tensor: Any, parameter: Any) -> Any:
    """A moment on its parameter's device; the step count (a scalar) stays on the CPU."""
    return tensor.to(parameter.device) if tensor.dim() else tensor


def _random(device: Any) -> dict[str, Any]:
    """The state of each random number generator that a training draws from."""
    import torch

    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _restore_random(states: dict[str, Any], device: Any) -> None:
    import torch

    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
