"""Where a run's files go: `<output>/runs/<time>_<name>_<hash8>`, or the run that is resumed.

These are Hydra resolvers: they see the whole configuration, with Hydra's own node.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from omegaconf import DictConfig, OmegaConf

from chmed_ner.errors import ChmedError

if TYPE_CHECKING:
    from chmed_ner.experiment import Experiment


def runs_directory(*, _root_: DictConfig) -> str:
    """The directory of all runs. An unwritable place ends the program with exit code 2."""
    directory = Path(str(_root_.paths.output)) / "runs"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        writable = os.access(directory, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        _stop(f"paths.output={directory.parent}: cannot be written; choose another folder", 2)
    return str(directory.absolute())


def run_directory(now: str, *, _root_: DictConfig) -> str:
    """The directory of a single run; bad settings end the program with exit code 2."""
    runs = runs_directory(_root_=_root_)
    try:
        experiment = _experiment(_root_)
        if experiment.resume:
            return _resumed(str(_root_.resume), experiment)
        return str(Path(runs) / _subdirectory(now, experiment))
    except ChmedError as error:
        _stop(str(error), error.exit_code)


def sweep_subdirectory(now: str, *, _root_: DictConfig) -> str:
    """The last part of the directory of a sweep's job.

    A job with bad settings gets one too: it fails by itself, and the others go on.
    """
    if _root_.resume is not None:
        _stop("resume: a multirun cannot be resumed; resume its unfinished runs one by one", 2)
    try:
        return _subdirectory(now, _experiment(_root_))
    except ChmedError:
        return f"{now}_job{_root_.hydra.job.num}"


def _experiment(root: DictConfig) -> "Experiment":
    from chmed_ner.config import configure

    choices = OmegaConf.to_container(root.hydra.runtime.choices)
    assert isinstance(choices, dict)
    bare = OmegaConf.masked_copy(root, [str(key) for key in root if key != "hydra"])
    return configure(bare, {str(key): value for key, value in choices.items()})


def _subdirectory(now: str, experiment: "Experiment") -> str:
    from chmed_ner.identity import config_hash, identity_of

    try:
        identity = identity_of(experiment)
    except ChmedError:  # the run itself will say so
        identity = config_hash(experiment.config, {}, "")
    return f"{now}_{experiment.name}_{identity[:8]}"


def _resumed(resume: str, experiment: "Experiment") -> str:
    """The resumed run's directory, checked before Hydra writes anything there."""
    from chmed_ner.identity import check_same, identity_of
    from chmed_ner.records import RunRecord, find_run

    directory = find_run(resume, key="resume", output=experiment.output)
    check_same(directory, RunRecord.read(directory), experiment.config, identity_of(experiment))
    return str(directory)


def _stop(message: str, code: int) -> NoReturn:
    """End the program: inside a resolver, an exception would come out as OmegaConf's."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)
