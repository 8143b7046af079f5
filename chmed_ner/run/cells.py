"""Each cell of a sweep runs once: its directory is claimed under a lock, by its config hash."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from chmed_ner.errors import InputError, RunError
from chmed_ner.files import LOCK, briefly, let_go, take
from chmed_ner.run.experiment import Experiment
from chmed_ner.track.record import FILE, RunRecord, check_same

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from chmed_ner.track import Tracking

METRICS = "metrics.json"

log = logging.getLogger(__name__)


class State(Enum):
    """What is to be done in a claimed directory."""

    NEW = "new"
    UNFINISHED = "unfinished"
    FINISHED = "finished"
    BUSY = "busy"


@dataclass(frozen=True)
class Claim:
    """A run's directory. With NEW and UNFINISHED it is ours, and locked, until it is let go."""

    directory: Path
    state: State
    lock: "BaseFileLock | None" = None

    @property
    def ours(self) -> bool:
        """Whether there is something to do for us."""
        return self.lock is not None


@contextmanager
def claimed(
    experiment: Experiment, identity: str, directory: Path, *, once: bool
) -> Iterator[Claim]:
    """The directory of a run, claimed for the length of the block.

    If `directory` is the folder of all runs: with `once` the directory of the same run, if there is
    one, else a new one. InputError: it holds another run; RunError: another process is using it.
    """
    runs = _runs(experiment.output)
    with _alone(runs):
        if directory != runs:
            claim = _given(experiment, identity, directory, once)
        elif once:
            claim = _existing(runs, identity) or _new(runs, experiment.name, identity)
        else:
            claim = _new(runs, experiment.name, identity)
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
    if not (directory / FILE).is_file():
        return False
    try:
        record = RunRecord.read(directory)
    except InputError as error:  # no reason to stop a run that has nothing to do with it
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


@contextmanager
def _alone(runs: Path) -> Iterator[None]:
    """Look at the runs and claim one while nobody else does."""
    with briefly(runs.with_suffix(".lock")):
        yield


def _given(experiment: Experiment, identity: str, directory: Path, once: bool) -> Claim:
    """A directory that was named: that of a resumed run, or one that Hydra was given."""
    if (directory / FILE).is_file():
        record = RunRecord.read(directory)
        key = "resume" if experiment.resume else "hydra.run.dir"
        check_same(directory, record, experiment.config, identity, key=key)
        if once and _is_finished(directory, identity):
            return Claim(directory, State.FINISHED)
    directory.mkdir(parents=True, exist_ok=True)
    lock = take(directory)
    if lock is None:
        if once:
            return Claim(directory, State.BUSY)
        raise RunError(f"{directory}: another process is at work on this run; wait for its end")
    state = State.UNFINISHED if (directory / FILE).is_file() else State.NEW
    return Claim(directory, state, lock)


def _existing(runs: Path, identity: str) -> Claim | None:
    """The same run if it is there: finished, else at work, else the newest unfinished one."""
    candidates = sorted(runs.glob(f"*_{identity[:8]}"), reverse=True)
    same = [each for each in candidates if _is_same(each, identity)]
    for directory in same:
        if _is_finished(directory, identity):
            return Claim(directory, State.FINISHED)
    mine: Claim | None = None
    for directory in same:
        lock = take(directory)
        if lock is None:
            if mine is not None and mine.lock is not None:
                mine.lock.release()
            return Claim(directory, State.BUSY)
        if mine is None:
            mine = Claim(directory, State.UNFINISHED, lock)
        else:
            lock.release()
    return mine


def _is_same(directory: Path, identity: str) -> bool:
    """Whether a directory holds the run of this identity, or was claimed for it and no more."""
    if not (directory / FILE).is_file():
        return directory.is_dir()
    return RunRecord.read(directory).config_hash == identity


def _is_finished(directory: Path, identity: str) -> bool:
    if not (directory / FILE).is_file() or not (directory / METRICS).is_file():
        return False
    record = RunRecord.read(directory)
    return record.status == "FINISHED" and record.config_hash == identity


def _new(runs: Path, name: str, identity: str) -> Claim:
    """A directory of its own: who comes in the same second waits for the next one."""
    while True:
        now = datetime.now().strftime("%Y%m%d-%H%M%S")
        directory = runs / f"{now}_{name}_{identity[:8]}"
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            time.sleep(0.05)
            continue
        return Claim(directory, State.NEW, take(directory))
