"""A run's own record, `run.json`, and the ways to name a run."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from chmed_ner.errors import ChmedError, InputError
from chmed_ner.files import output_directory, read_json, write_json
from chmed_ner.track.secrets import without_credentials

FILE = "run.json"


@dataclass
class RunRecord:
    """What `run.json` holds: identity, provenance, checksums and counts of a run.

    `status` is RUNNING, FINISHED, FAILED (for the reason `error`) or KILLED; checksums are SHA-256
    by file; `key` is unique and finds the MLflow run whose id was lost in a crash.
    """

    name: str
    experiment: str
    config_hash: str
    config: Mapping[str, Any]
    backbone: str = ""
    backbone_sha256: str = ""
    training_files: dict[str, str] = field(default_factory=dict)
    test_files: dict[str, str] = field(default_factory=dict)
    mlflow_run_id: str | None = None
    mlflow_tracking_uri: str | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    status: str = "RUNNING"
    error: str = ""
    seed: int = 0
    git_commit: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0

    def write(self, directory: Path) -> None:
        """Write `run.json` atomically."""
        write_json(directory / FILE, asdict(self))

    @classmethod
    def read(cls, directory: Path) -> "RunRecord":
        """The record in `directory`; InputError when it is missing or of another shape."""
        path = directory / FILE
        content = read_json(path)
        known = {item.name for item in fields(cls)}
        if not isinstance(content, dict) or not {"name", "config_hash", "config"} <= set(content):
            raise InputError(f"{path}: not the record of a run")
        return cls(**{key: value for key, value in content.items() if key in known})

    def trained_on(self, test_files: Mapping[str, str]) -> list[str]:
        """The names of those files that the run was trained on, by their SHA-256."""
        seen = set(self.training_files.values())
        return sorted(name for name, digest in test_files.items() if digest in seen)


def note_counts(directory: Path, counts: Mapping[str, int]) -> None:
    """Add counts to the record in `directory` now: a run that dies later has them all the same."""
    if (directory / FILE).is_file():
        record = RunRecord.read(directory)
        record.counts |= counts
        record.write(directory)


def reason(error: BaseException) -> str:
    """Why a run failed, as it is recorded: the error's own words, without credentials."""
    said = str(error) if isinstance(error, ChmedError) else f"{type(error).__name__}: {error}"
    return str(without_credentials(said))[:2000]


def find_run(name: str, *, key: str = "RUN", output: Path | None = None) -> Path:
    """The directory of the run that `name` means: a directory, an MLflow run id, or `latest`.

    `latest` is the newest finished run under the output directory. `key` names, in the error, what
    the user set.
    """
    place = Path(name).expanduser()
    if (place / FILE).is_file():
        return place.absolute()
    runs = (output or output_directory()) / "runs"
    candidates = sorted(runs.glob(f"*/{FILE}"))
    records = [(path.parent, RunRecord.read(path.parent)) for path in candidates]
    if name == "latest":
        finished = [(r.started, str(d), d) for d, r in records if r.status == "FINISHED"]
        if finished:
            return max(finished)[2]
        raise InputError(f"{key}=latest: no finished run under {runs}")
    for directory, record in records:
        if record.mlflow_run_id == name or directory.name == name:
            return directory
    raise InputError(
        f"{key}={name}: not a run directory (no {FILE} there), nor the MLflow id of a run under "
        f"{runs}; give a run directory, an MLflow run id, or latest"
    )
