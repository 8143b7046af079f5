"""A run's own record, `run.json`: its settings, its code, what makes two runs the same."""

import hashlib
import json
import subprocess
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from chmed_ner.errors import ChmedError, InputError, names_secret, without_secrets
from chmed_ner.files import checkout, read_json, write_json
from chmed_ner.knobs import NAMES_RUN, NO_RESULT, marked, named
from chmed_ner.track.shape import shaped

RUN_FILE = "run.json"
NOT_PART = ("paths", "tracking", "resume", "rerun", "hydra", "name", "language", "figures")
"""The root keys that change no result. Of the groups, knobs marked so are left out as well."""
PACKAGES = (
    "torch", "transformers", "peft", "opencc", "mlflow", "hydra-core", "numpy", "python-crfsuite",
)  # fmt: skip


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """`{"backbone.batch_size": "32", ...}`; values whose key names a secret are left out."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{name}.")
        elif not names_secret(key):
            flat[name] = str(value)[:5000]
    return flat


def version() -> str:
    """The version of this package."""
    return metadata.version("chmed-ner")


def versions() -> dict[str, str]:
    """The versions of this package and those that a result may depend on."""
    found = {"chmed_ner": version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str:
    """The checkout's commit, with `-dirty` when tracked files have changed; empty without git."""
    root = checkout()
    if root is None:
        return ""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}-dirty" if changed else commit


@dataclass
class RunRecord:
    """What `run.json` holds of a run; checksums are SHA-256 by file, `weights` those it tuned.

    `choices` are the options of the groups; `directory` is where the run was made; `status` is
    RUNNING, FINISHED, FAILED (for the reason `error`) or KILLED; `key` is unique and finds the
    MLflow run whose id was lost in a crash. `command` makes the run again; `sweep` is the one that
    it is a cell of (`key`, `name`, `command`, `question`), if any; `sentences` counts by split.
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
    sentences: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    command: str = ""
    sweep: dict[str, str] = field(default_factory=dict)
    directory: str = ""
    started: str = ""
    seconds: float = 0.0

    def write(self, directory: Path) -> None:
        """Write `run.json` atomically."""
        write_json(directory / RUN_FILE, asdict(self))

    @classmethod
    def read(cls, directory: Path) -> "RunRecord":
        """The record in `directory`; InputError when it is missing or of another shape."""
        path = directory / RUN_FILE
        return shaped(cls, read_json(path), f"{path}: not the record of a run")

    @property
    def output(self) -> Path | None:
        """The output directory that the run was made in, which may have been copied since."""
        paths = self.config.get("paths")
        output = paths.get("output") if isinstance(paths, Mapping) else None
        return Path(output).absolute() if isinstance(output, str) else None

    def trained_on(self, test_files: Mapping[str, str]) -> list[str]:
        """The names of those files that the run was trained on, by their SHA-256."""
        seen = set(self.training_files.values())
        return sorted(name for name, digest in test_files.items() if digest in seen)


def note_counts(directory: Path, counts: Mapping[str, int]) -> None:
    """Add counts to the record in `directory` now: a run that dies later has them all the same."""
    if (directory / RUN_FILE).is_file():
        record = RunRecord.read(directory)
        record.counts |= counts
        record.write(directory)


def note_tuned(directory: Path, weights: Mapping[str, str]) -> None:
    """Record the tuned files that are about to take their place in `directory`, by their path
    there: no tuned weights are there without their checksums."""
    if (directory / RUN_FILE).is_file():
        record = RunRecord.read(directory)
        record.weights = dict(weights)
        record.write(directory)


def failure_reason(error: BaseException) -> str:
    """Why a run failed, as it is recorded: the error's own words, without credentials."""
    said = str(error) if isinstance(error, ChmedError) else f"{type(error).__name__}: {error}"
    return str(without_secrets(said))[:2000]


def config_hash(content: Mapping[str, Any], files: Mapping[str, str], backbone: str) -> str:
    """SHA-256 over what determines a run's results; `files` and `backbone` are checksums."""
    kept = {"config": _hashed(content), "files": dict(files), "backbone": backbone}
    text = json.dumps({**kept, "version": version()}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_same_run(
    directory: Path,
    record: RunRecord,
    config: Mapping[str, Any],
    identity: str,
    key: str = "resume",
) -> None:
    """InputError, which names what the user set (`key`), when the run in `directory` has another
    identity than the one that takes it up."""
    if record.config_hash == identity:
        return
    before, after = flattened(_hashed(record.config)), flattened(_hashed(config))
    changed = [
        f"{knob} was {before.get(knob)}, is {after.get(knob)}"
        for knob in sorted(before.keys() | after.keys())
        if before.get(knob) != after.get(knob)
    ]
    raise InputError(
        f"{key}={directory}: that run has another configuration, data or code version "
        f"({changed[0] if changed else 'the files or the version differ'}); repeat its settings, "
        "or start a new run"
    )


def neutral_keys(params: Mapping[str, str]) -> set[str]:
    """Of a run's flat settings (`backbone.timeout`), those that change no result."""
    neutral = {key for key in params if key.split(".")[0] in NOT_PART}
    for key, target in params.items():
        node, _, name = key.rpartition(".")
        if name == "_target_" and node.split(".")[0] not in NOT_PART:
            with suppress(InputError):  # a class that another version had
                neutral |= {f"{node}.{knob}" for knob in marked(named(target, node), NO_RESULT)}
    return neutral


def _hashed(content: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    """`content` without what changes no result, and without names of runs: their files count."""
    left_out = frozenset(() if key else NOT_PART)
    with suppress(InputError, KeyError):  # no object, or a class that another version had
        constructor = named(content["_target_"], key)
        left_out = marked(constructor, NO_RESULT) | marked(constructor, NAMES_RUN)
    return {
        name: _hashed(value, f"{key}.{name}".strip(".")) if isinstance(value, Mapping) else value
        for name, value in content.items()
        if name not in left_out
    }
