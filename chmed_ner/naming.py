"""Where a run's files go: `<output>/runs/<time>_<name>_<hash8>`, or the run that is resumed.

These are Hydra resolvers: they see the whole configuration, with Hydra's own node.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig, OmegaConf


def run_directory(now: str, *, _root_: DictConfig) -> str:
    """The directory of a single run. An unwritable place ends the program with exit code 2."""
    if _root_.resume is not None:
        return _resumed(str(_root_.resume))
    directory = Path(str(_root_.paths.output)) / "runs"
    _writable(directory)
    return str(directory.absolute() / run_subdirectory(now, _root_=_root_))


def run_subdirectory(now: str, *, _root_: DictConfig) -> str:
    """The last part of a run's directory."""
    from chmed_ner.config import configure, identity_of
    from chmed_ner.errors import ChmedError

    choices = OmegaConf.to_container(_root_.hydra.runtime.choices)
    assert isinstance(choices, dict)
    bare = OmegaConf.masked_copy(_root_, [str(key) for key in _root_ if key != "hydra"])
    try:
        experiment = configure(bare, {str(key): value for key, value in choices.items()})
    except ChmedError as error:
        _stop(str(error), error.exit_code)
    return f"{now}_{experiment.name}_{identity_of(experiment)[:8]}"


def _resumed(resume: str) -> str:
    from chmed_ner.errors import InputError
    from chmed_ner.records import find_run

    try:
        return str(find_run(resume, key="resume"))
    except InputError as error:
        _stop(str(error), error.exit_code)


def _writable(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        writable = os.access(directory, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        _stop(f"paths.output={directory.parent}: cannot be written; choose another folder", 2)


def _stop(message: str, code: int) -> NoReturn:
    """End the program: inside a resolver, an exception would come out as OmegaConf's."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)
