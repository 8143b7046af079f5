"""`chmed-ner run`: the runner behind Hydra's own command line."""

import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from chmed_ner.config import configure, message_of, register
from chmed_ner.errors import ChmedError, InputError
from chmed_ner.paths import config_directory

HELP = "run an experiment"

VALUED = (
    "--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn",
    "--config-dir", "-cd", "--experimental-rerun",
)  # fmt: skip
"""Hydra's options that a value follows."""

log = logging.getLogger(__name__)


@dataclass
class _Job:
    """One run of this command, for the table at its end."""

    name: str
    directory: Path
    metrics: dict[str, float] = field(default_factory=dict)
    error: str = ""


def execute(arguments: Sequence[str]) -> int:
    """Hand `arguments` to Hydra and run every job; returns the exit code."""
    register()
    jobs: list[_Job] = []

    def job(config: DictConfig) -> float:
        return _run(config, jobs)

    program = hydra.main(
        version_base="1.3", config_path=str(config_directory()), config_name="config"
    )(job)
    with _command_line(["chmed-ner run", *options_first(arguments)]):
        code = _code_of(program)
    if code and not jobs:  # nothing was started: the configuration is to blame
        return InputError.exit_code
    _print_table(jobs)
    return code or (1 if any(each.error for each in jobs) else 0)


def options_first(words: Sequence[str]) -> list[str]:
    """Hydra's words with the options before the overrides: between them it would refuse them."""
    if any(word.startswith("-sc") for word in words):  # shell completion
        return list(words)
    options: list[str] = []
    overrides: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            overrides.append(word)
            continue
        options.append(word)
        if word in ("--info", "-i"):  # its value may be left out
            given = rest and "=" not in rest[0] and not rest[0].startswith("-")
            options.append(rest.pop(0) if given else "all")
        elif word in VALUED and rest:
            options.append(rest.pop(0))
    return [*options, *overrides]


def _run(config: DictConfig, jobs: list[_Job]) -> float:
    """One job; its error is kept for the table and raised again."""
    from chmed_ner.runner import run

    settings = HydraConfig.get()
    directory = Path(settings.runtime.output_dir)
    job = _Job(config.name or directory.name, directory)
    jobs.append(job)
    try:
        experiment = configure(config, dict(settings.runtime.choices))
        job.name = experiment.name
        job.metrics = run(experiment, directory)
    except Exception as error:
        job.error = str(error) or type(error).__name__
        if isinstance(error, ChmedError | OSError):
            log.error("error: %s", error)
        else:
            log.exception("the run failed; what was finished is in %s", directory)
        raise
    return job.metrics.get("test/f1", 0.0)


def _code_of(program: Any) -> int:
    """Run the program; its errors become one message and an exit code."""
    try:
        program()
    except ChmedError as error:
        return error.exit_code
    except (HydraException, OmegaConfBaseException) as error:
        print(f"error: {message_of(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 1
    except Exception as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _command_line(words: list[str]) -> Iterator[None]:
    """Hydra reads `sys.argv`; with HYDRA_FULL_ERROR it hands errors to us instead of printing."""
    before, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = words, "1"
    try:
        yield
    finally:
        sys.argv = before
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full


def _print_table(jobs: Sequence[_Job]) -> None:
    """What each job scored and where it lies."""
    if not jobs:
        return
    width = max(len(job.name) for job in jobs)
    print(f"\n{'run':<{width}}  {'P':>6} {'R':>6} {'F1':>6}  95% interval")
    for job in jobs:
        if job.error:
            print(f"{job.name:<{width}}  FAILED: {job.error.splitlines()[0]}")
        elif not job.metrics:
            print(f"{job.name:<{width}}  tuned; no test sentence was asked for")
        else:
            print(f"{job.name:<{width}}  {_figures(job.metrics)}")
    for job in jobs:
        if not job.error and len(jobs) == 1:
            _print_genres(job.metrics)
        print(f"{job.name}: {job.directory}")


def _figures(metrics: dict[str, float], prefix: str = "test/") -> str:
    figures = " ".join(f"{metrics[prefix + key]:6.2f}" for key in ("precision", "recall", "f1"))
    if f"{prefix}f1_low" not in metrics:
        return figures
    return f"{figures}  {metrics[prefix + 'f1_low']:.2f} to {metrics[prefix + 'f1_high']:.2f}"


def _print_genres(metrics: dict[str, float]) -> None:
    genres = [key.split("/")[1] for key in metrics if re.fullmatch(r"test/[^/]+/precision", key)]
    for genre in genres:
        print(f"  {genre:<8} {_figures(metrics, f'test/{genre}/')}")
