"""A run as its steps see it, and the metrics it keeps in its own directory."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chmed_ner.errors import InputError
from chmed_ner.files import json_line

HISTORY = "history.jsonl"


class Tracker(Protocol):
    """One run as its steps see it."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Keep the values of one step."""

    def timed(self, stage: str) -> Any:
        """A `with` block whose seconds are logged as `time/<stage>_seconds`."""


@dataclass(frozen=True)
class Description:
    """What a run is tracked under. `key` is unique; it finds a run whose id was lost in a crash."""

    experiment: str
    name: str
    key: str
    tags: Mapping[str, str]
    params: Mapping[str, Any]


class Tracking(Protocol):
    """Where runs are recorded."""

    def start(self, run: Description, directory: Path, run_id: str | None) -> "DryRun":
        """A run, new or taken up again by its id."""

    def killed(self, directory: Path, run_id: str, uri: str | None) -> None:
        """Mark a run as KILLED whose process died."""


@dataclass(frozen=True)
class Value:
    """One value of a metric; `time` in milliseconds since 1970."""

    metric: str
    value: float
    step: int
    time: int


class DryRun:
    """A run that is tracked nowhere; the base of one that is.

    Collects the seconds of stages, and keeps every value in `directory/history.jsonl`.
    """

    run_id: str | None = None
    uri: str | None = None

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        self.seconds: dict[str, float] = {}

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Keep the values."""
        self.keep(metrics, step)

    def keep(self, metrics: Mapping[str, float], step: int) -> list[Value]:
        """Append the values to the history; returns them."""
        now = int(time.time() * 1000)
        values = [Value(name, float(value), step, now) for name, value in metrics.items()]
        if self.directory is not None:
            with (self.directory / HISTORY).open("ab") as file:
                file.write("".join(json_line(vars(each)) for each in values).encode())
        return values

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's wall-clock seconds to the stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - began
            self.seconds[stage] = self.seconds.get(stage, 0.0) + elapsed

    def artifacts(self, directory: Path, names: Sequence[str]) -> None:
        """Nothing is uploaded."""

    def end(self, status: str, error: str = "") -> None:
        """Nothing to close. `status` is FINISHED, FAILED or KILLED."""


class DryTracking:
    """No tracking."""

    def start(self, run: Description, directory: Path, run_id: str | None) -> DryRun:  # noqa: ARG002
        """A run that is tracked nowhere but in its directory."""
        return DryRun(directory)

    def killed(self, directory: Path, run_id: str, uri: str | None) -> None:  # noqa: ARG002
        """Leave word for `report --sync`: the run is in MLflow."""
        from chmed_ner.track.unsent import Unsent

        Unsent(uri=uri or "", reason="its process died").write(directory)


def read_history(directory: Path) -> list[Value]:
    """Every value that the run in `directory` logged, in order.

    A last line without its end is what a killed process leaves: it is ignored. InputError for any
    other line that is not a value.
    """
    path = directory / HISTORY
    if not path.is_file():
        return []
    values = []
    whole = path.read_bytes().rpartition(b"\n")[0]
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        try:
            values.append(Value(**json.loads(line)))
        except (ValueError, TypeError):
            raise InputError(f"{path}, line {number}: not a metric's value") from None
    return values


def best(directory: Path, metric: str) -> float | None:
    """The highest value of a metric in a run's history, None if it was never logged."""
    found = [each.value for each in read_history(directory) if each.metric == metric]
    return max(found, default=None)
