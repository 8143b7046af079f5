"""What a regime is given to work with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chmed_ner.backbone.protocol import Generator

Log = Callable[[Mapping[str, float], int], None]


@dataclass(frozen=True)
class Task:
    """What a regime may use: training pairs (prompt, answer), a judge of generators, a place.

    `dev_f1` scores a generator on the validation split (percent), None when that split is empty;
    `log` takes metrics of a step, `note` counts that belong into `run.json`.
    """

    pairs: Sequence[tuple[str, str]]
    stop: Sequence[str]
    dev_f1: Callable[[Generator, int], float] | None
    directory: Path
    seed: int
    log: Log
    note: Callable[[Mapping[str, int]], None]
