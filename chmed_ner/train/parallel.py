"""Data-parallel training: the processes that `torchrun` or `accelerate launch` starts.

The first process (rank 0) does the run; it calls the others when it trains. Every process reads its
own part of each batch, and the gradients are added up.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError
from chmed_ner.machine import keep_threads_awake, prepare_memory
from chmed_ner.train.recipe import E

PATIENCE = timedelta(days=7)
"""The others wait while the first scores and saves; one that died is noticed at once."""

BUCKET = 1 << 24
"""Gradient values that are sent at once: 64 MiB."""


@dataclass(frozen=True)
class Processes:
    """How many processes train together, and which of them this is."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Does this process write, score and track?"""
        return self.rank == 0

    def part(self, batch: Sequence[E]) -> list[E]:
        """This process's examples of a batch, with like lengths in every process."""
        if self.count == 1:
            return list(batch)
        return sorted(batch, key=len)[self.rank :: self.count]

    def add_up(self, parameters: Sequence[Any], loss: float) -> float:
        """Add up all gradients in place (none counts as 0); return the sum of the losses."""
        if self.count == 1:
            return loss
        import torch
        from torch import distributed
        from torch.nn.utils import vector_to_parameters

        for bucket in _buckets(parameters):
            for parameter in bucket:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            gradients = [parameter.grad for parameter in bucket]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            distributed.all_reduce(flat)
            vector_to_parameters(flat, gradients)
        total = torch.tensor([loss], dtype=torch.float64)
        distributed.all_reduce(total)
        return float(total)

    def own_chance(self, seed: int, step: int) -> None:
        """Seed the processes after the first by step: each drops other activations."""
        if not self.first:
            import torch

            torch.manual_seed((seed * self.count + self.rank) * 1_000_003 + step)


def _buckets(parameters: Sequence[Any]) -> Iterator[list[Any]]:
    bucket: list[Any] = []
    size = 0
    for parameter in parameters:
        if bucket and size + parameter.numel() > BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket


def processes() -> Processes:
    """This process among those of torchrun, or alone; InputError: RANK, WORLD_SIZE not its."""
    rank, count = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    if not rank or not count:
        return Processes()
    if not (rank.isdecimal() and count.isdecimal() and int(rank) < int(count)):
        raise InputError(
            f"RANK={rank} WORLD_SIZE={count} in the environment: not set by torchrun; unset them"
        )
    return Processes(int(rank), int(count))


@contextmanager
def joined() -> Iterator[None]:
    """Within the block processes can exchange tensors (gloo on CPUs, NCCL between GPUs)."""
    prepare_memory()  # before torch is imported
    keep_threads_awake()
    import torch
    from torch import distributed

    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def call(directory: Path | None) -> None:
    """In the first process: let the others train in `directory`; None tells them to stop."""
    _broadcast([directory.absolute() if directory else None])


def called() -> Path | None:
    """In the other processes: wait for the first one's call; the run directory, None to stop."""
    return _broadcast([None])


def _broadcast(name: list[Path | None]) -> Path | None:
    """The first process's `name`, in every process."""
    import torch
    from torch import distributed

    distributed.broadcast_object_list(name, src=0, device=torch.device("cpu"))
    return name[0]
