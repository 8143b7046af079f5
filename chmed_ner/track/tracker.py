"""A run as its steps see it, and what it keeps in its directory: values, a note for MLflow."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chmed_ner.files import cut_torn_line, json_line, read_json, write_json
from chmed_ner.track.described import Description
from chmed_ner.track.shape import shaped

HISTORY_FILE = "history.jsonl"
UNSENT_FILE = "unsent.json"


@dataclass(frozen=True)
class Value:
    """One value of a metric; `time` in milliseconds since 1970."""

    metric: str
    value: float
    step: int
    time: int


class Tracker:
    """One run as its steps see it, kept in `directory` alone; a subclass is in MLflow too."""

    run_id: str | None = None
    uri: str | None = None

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seconds: dict[str, float] = {}
        cut_torn_line(directory / HISTORY_FILE)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Keep the values of one step."""
        self.keep(metrics, step)

    def keep(self, metrics: Mapping[str, float], step: int) -> list[Value]:
        """Append the values to the history; returns them."""
        now = int(time.time() * 1000)
        values = [Value(name, float(value), step, now) for name, value in metrics.items()]
        with (self.directory / HISTORY_FILE).open("ab") as file:
            file.write("".join(json_line(vars(each)) for each in values).encode())
        return values

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's seconds to those of the stage: `time/<stage>_seconds`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - began
            self.seconds[stage] = self.seconds.get(stage, 0.0) + elapsed

    def artifacts(self, names: Sequence[str]) -> None:
        """Upload the named files and folders of the run directory that are there; here: nothing."""

    def end(self, status: str, error: str = "") -> None:
        """Close the run. `status` is FINISHED, FAILED or KILLED."""


class Tracking:
    """Runs kept in their directories alone; a subclass has them in MLflow too.

    `upload_adapter`: whether the weights of a tuned run are uploaded.
    """

    upload_adapter: bool = False

    def start(self, run: Description, directory: Path, run_id: str | None) -> Tracker:
        """A run, new or taken up again by its id."""
        return Tracker(directory)

    def killed(self, directory: Path, run_id: str, uri: str | None) -> None:
        """Mark a run of MLflow as KILLED whose process died; here: note it for `report --sync`."""
        Unsent(uri=uri or "", reason="its process died").write(directory)


def read_history(directory: Path) -> list[Value]:
    """Every value that the run in `directory` logged, in order; InputError for a line that is none.

    A last line without its end is what a killed process leaves: it is ignored.
    """
    path = directory / HISTORY_FILE
    if not path.is_file():
        return []
    values = []
    complete = path.read_bytes().rpartition(b"\n")[0]
    for number, line in enumerate(complete.splitlines(), start=1):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        values.append(shaped(Value, found, f"{path}, line {number}: not a metric's value"))
    return values


def best(directory: Path, metric: str) -> float | None:
    """The highest value of a metric in a run's history, None if it was never logged."""
    found = [each.value for each in read_history(directory) if each.metric == metric]
    return max(found, default=None)


@dataclass
class Unsent:
    """What MLflow still lacks of a run: `unsent.json`, there until the run is uploaded.

    `uri` is without credentials; `ended` is in milliseconds since 1970, 0 while the run goes on.
    """

    uri: str
    reason: str
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    ended: int = 0

    def write(self, directory: Path) -> None:
        """Write the note atomically."""
        write_json(directory / UNSENT_FILE, asdict(self))

    @classmethod
    def read(cls, directory: Path) -> "Unsent":
        """The note in `directory`; InputError when it is missing or of another shape."""
        path = directory / UNSENT_FILE
        return shaped(cls, read_json(path), f"{path}: not a note of what is to be sent")


def has_unsent(directory: Path) -> bool:
    """Whether MLflow lacks something of the run in `directory`."""
    return (directory / UNSENT_FILE).is_file()
