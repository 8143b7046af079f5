"""The directories of runs and their names: each cell of a sweep runs once, under a lock."""

import logging
import os
import re
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from chmed_ner.errors import InputError, RunError, without_secrets
from chmed_ner.files import LOCK, briefly, let_go, take
from chmed_ner.run.experiment import Experiment, Method
from chmed_ner.track import RUN_FILE, RunRecord, check_same_run

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from chmed_ner.track import Tracking


METRICS_FILE = "metrics.json"
LONGEST_NAME = 200
"""Bytes; file systems take 255, of which the time and the hash need some."""

UNSAFE = re.compile(r"[^\w.+@-]+")
"""What a shell or Hydra would want quoted in `resume=<directory>`."""

log = logging.getLogger(__name__)


class ClaimState(Enum):
    """What is to be done in a claimed directory."""

    NEW = "new"
    UNFINISHED = "unfinished"
    FINISHED = "finished"
    BUSY = "busy"


@dataclass(frozen=True)
class Claim:
    """A run's directory; it is ours, and locked until the block ends, if NEW or UNFINISHED."""

    directory: Path
    state: ClaimState
    lock: "BaseFileLock | None" = None


@contextmanager
def claimed(
    experiment: Experiment, identity: str, directory: Path, *, once: bool
) -> Iterator[Claim]:
    """A run's directory, claimed during the block: `directory`, or one in it if it holds all runs.

    With `once` that is the directory of the same run, if there is one, else a new one. InputError:
    it holds another run; RunError: another process is using it.
    """
    runs = _runs(experiment.output)
    with _alone(runs):
        if directory != runs:
            claim = _given(experiment, identity, directory, once)
        else:
            same = _existing(runs, identity) if once else None
            claim = same or _new(runs, experiment.name, identity)
    try:
        yield claim
    finally:
        if claim.lock is not None:
            let_go(claim.lock)


def mark_killed(output: Path, tracking: "Tracking") -> list[Path]:
    """Mark the runs under `output` whose process died as KILLED; returns their directories."""
    runs = _runs(output)
    marked = []
    for path in sorted(runs.glob(f"*/{LOCK}")):
        with _alone(runs):
            lock = take(path.parent)
            if lock is None:
                continue
            try:
                if _mark_killed(path.parent, tracking):
                    marked.append(path.parent)
            finally:
                let_go(lock)
    return marked


def _mark_killed(directory: Path, tracking: "Tracking") -> bool:
    if not (directory / RUN_FILE).is_file():
        return False
    try:
        record = RunRecord.read(directory)
    except InputError as error:  # no reason to stop another run
        log.warning("%s", error)
        return False
    if record.status != "RUNNING":
        return False
    record.status = "KILLED"
    record.write(directory)
    if record.mlflow_run_id is not None:
        tracking.killed(directory, record.mlflow_run_id, record.mlflow_tracking_uri)
    log.info("%s: its process died; the run is marked as KILLED", directory)
    return True


def _runs(output: Path) -> Path:
    """The folder of all runs, written as Hydra writes it: links are kept."""
    return Path(os.path.normpath(output.absolute() / "runs"))


def _alone(runs: Path) -> AbstractContextManager[None]:
    """The lock under which a process looks at the runs and claims one."""
    return briefly(runs.with_suffix(".lock"))


def _given(experiment: Experiment, identity: str, directory: Path, once: bool) -> Claim:
    """The directory of a resumed run, or one that Hydra was given."""
    if (directory / RUN_FILE).is_file():
        record = RunRecord.read(directory)
        key = "resume" if experiment.resume else "hydra.run.dir"
        check_same_run(directory, record, experiment.config, identity, key=key)
        if once and _is_finished(directory, identity):
            return Claim(directory, ClaimState.FINISHED)
    directory.mkdir(parents=True, exist_ok=True)
    lock = take(directory)
    if lock is None:
        if once:
            return Claim(directory, ClaimState.BUSY)
        raise RunError(f"{directory}: another process is at work on this run; wait for its end")
    state = ClaimState.UNFINISHED if (directory / RUN_FILE).is_file() else ClaimState.NEW
    return Claim(directory, state, lock)


def _existing(runs: Path, identity: str) -> Claim | None:
    """The same run: finished, else at work, else the newest unfinished one, else None."""
    candidates = sorted(runs.glob(f"*_{identity[:8]}"), reverse=True)
    same = [each for each in candidates if _is_same(each, identity)]
    for directory in same:
        if _is_finished(directory, identity):
            return Claim(directory, ClaimState.FINISHED)
    locks = {directory: take(directory) for directory in same}
    busy = [directory for directory, lock in locks.items() if lock is None]
    for lock in list(locks.values())[0 if busy else 1 :]:
        if lock is not None:
            lock.release()
    if busy:
        return Claim(busy[0], ClaimState.BUSY)
    return Claim(same[0], ClaimState.UNFINISHED, locks[same[0]]) if same else None


def _is_same(directory: Path, identity: str) -> bool:
    """Whether a directory holds the run of this identity, or was only claimed for it."""
    if not (directory / RUN_FILE).is_file():
        return directory.is_dir()
    return RunRecord.read(directory).config_hash == identity


def _is_finished(directory: Path, identity: str) -> bool:
    if not all((directory / name).is_file() for name in (RUN_FILE, METRICS_FILE)):
        return False
    record = RunRecord.read(directory)
    return record.status == "FINISHED" and record.config_hash == identity


def _new(runs: Path, name: str, identity: str) -> Claim:
    """A new directory; a second run in the same second waits for the next second."""
    while True:
        now = datetime.now().strftime("%Y%m%d-%H%M%S")
        directory = runs / f"{now}_{name}_{identity[:8]}"
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            time.sleep(0.05)
            continue
        return Claim(directory, ClaimState.NEW, take(directory))


def runs_directory(*, _root_: DictConfig) -> str:
    """The directory of all runs, `<output>/runs`: a Hydra resolver.

    An unwritable place ends the program with exit code 2: an exception would become OmegaConf's.
    """
    directory = Path(str(_root_.paths.output)) / "runs"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        writable = os.access(directory, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        print(
            f"error: paths.output={directory.parent}: cannot be written; choose another folder",
            file=sys.stderr,
        )
        raise SystemExit(InputError.exit_code)
    return str(directory.absolute())


def cell_name(
    name: str, overrides: Sequence[str], varied: Collection[str], named: Collection[str]
) -> str:
    """`name` with the varied settings of a cell: `sample-...-s13-order-text_order`.

    `overrides` are Hydra's `key=value` of the cell, `varied` the keys that the sweep varies,
    `named` those that are in the name already.
    """
    pairs = [override.lstrip("+").partition("=") for override in overrides]
    added = [(key, value) for key, _, value in pairs if key in varied and key not in named]
    last = [key.rpartition(".")[2] for key, _ in added]
    parts = [
        UNSAFE.sub("_", f"{short if last.count(short) == 1 else key}-{value}")
        for (key, value), short in zip(added, last, strict=True)
    ]
    whole = str(without_secrets("-".join([name, *parts])))
    return os.fsencode(whole)[:LONGEST_NAME].decode(errors="ignore")


def checked_name(name: str) -> str:
    """`name` without secrets; InputError where it cannot be part of a folder's name."""
    name = str(without_secrets(name))
    if not re.fullmatch(r"[^/\\\0\n]+", name) or len(os.fsencode(name)) > LONGEST_NAME:
        raise InputError(
            f"name={name[:60]}: becomes part of a folder's name; give up to {LONGEST_NAME} bytes "
            "without / and \\"
        )
    return name


def default_name(
    method: Method, content: Mapping[str, Any], choices: Mapping[str, str | None]
) -> str:
    """dataset-backbone-prompt-regime-sSEED, dataset-crf-sSEED: the options that name a run."""
    groups = ("dataset", *method.named_by)
    parts = [str(choices.get(group)).replace("/", "_") for group in groups]
    return "-".join([*parts, f"s{content['seed']}"])
