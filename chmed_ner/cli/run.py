"""`chmed-ner run`: Hydra's own command line, and the table of how its jobs ended."""

import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TextIO, cast

import hydra
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from chmed_ner.cli import COMMANDS
from chmed_ner.cli.jobs import Job, Report
from chmed_ner.errors import ChmedError, Clean, InputError, without_settings
from chmed_ner.files import cache_directory, config_directory
from chmed_ner.run import hydra_message, register_config

VALUED = (
    "--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn",
    "--config-dir", "-cd",
)  # fmt: skip
"""Hydra's options that a value follows."""


class SweepFile(Callback):
    """Hydra's own copy of a sweep's configuration, which may hold a secret: removed at the end."""

    places: ClassVar[list[Path]] = []

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Remember where it will be."""
        self.places.append(Path(config.hydra.sweep.dir, "multirun.yaml").absolute())


def execute(arguments: Sequence[str]) -> int:
    """Hand `arguments` to Hydra and run every job; returns the exit code."""
    register_config()
    if any(word.startswith("--e") for word in arguments):
        raise InputError(
            "--experimental-rerun: reads a pickle, which may run any code; use resume=<directory>"
        )
    if any(word.startswith(("-sc", "--shell-completion")) for word in arguments):
        return _complete(arguments)
    shown = {word.partition("=")[0] for word in arguments} & {"--cfg", "-c", "--info", "-i"}
    if shown:  # a user's own files may hold a secret
        sys.stdout = cast("TextIO", Clean(sys.stdout, without_settings))
    journal = cache_directory() / "journals" / uuid.uuid4().hex
    job = Job(arguments, journal)
    program = _program(job)
    try:
        with _command_line(["chmed-ner run", *options_first(arguments)]):
            code = _code_of(program)
    finally:
        for place in SweepFile.places:
            place.unlink(missing_ok=True)
        reports = job.all_reports()
        shutil.rmtree(journal, ignore_errors=True)
        print_table(reports)
    if code and not reports:  # nothing was started: the configuration is to blame
        return InputError.exit_code
    return (exit_code(reports) or code) if len(reports) > 1 else code


def _program(job: Job) -> Any:
    return hydra.main(
        version_base="1.3", config_path=str(config_directory()), config_name="config"
    )(job)


def _complete(arguments: Sequence[str]) -> int:
    """Answer the shell: the names of commands, or what Hydra offers."""
    commands = commands_for(arguments)
    if commands is not None:
        print(" ".join(commands))
        return 0
    with _command_line([PROGRAM, *arguments]), without_command():
        return _code_of(_program(Job(arguments, cache_directory())))


def options_first(words: Sequence[str]) -> list[str]:
    """Hydra's words with the options first; it refuses them between overrides."""
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


def _code_of(program: Any) -> int:
    """Run the program; its errors become one message and an exit code."""
    try:
        program()
    except ChmedError as error:
        return error.exit_code
    except (HydraException, OmegaConfBaseException) as error:
        print(f"error: {hydra_message(error)}", file=sys.stderr)
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


WITH_OVERRIDES = ("run", "stats", "prompts", "report")
"""The commands that take Hydra's overrides."""
PROGRAM = "chmed-ner"


def commands_for(words: Sequence[str]) -> list[str] | None:
    """The commands to offer while one is typed; None: ask Hydra."""
    if not any(word.startswith("query=") for word in words):
        return None
    typed = _typed(os.environ.get("COMP_LINE", ""))
    command, space, _ = typed.partition(" ")
    if not space:
        return [name for name in COMMANDS if name.startswith(command)]
    return None if command in WITH_OVERRIDES else []


@contextmanager
def without_command() -> Iterator[None]:
    """During the block COMP_LINE is as Hydra reads it: the program and its overrides."""
    before = os.environ.get("COMP_LINE")
    if before is not None:
        os.environ["COMP_LINE"] = f"{PROGRAM} {_typed(before).partition(' ')[2].lstrip()}"
    try:
        yield
    finally:
        if before is not None:
            os.environ["COMP_LINE"] = before


def _typed(line: str) -> str:
    """The words after the program: `chmed-ner` or `python -m chmed_ner`."""
    return re.sub(r"^\s*(\S*python[\d.]*\s+-m\s+)?\S+\s*", "", line, count=1)


STATES = ("done", "skipped", "failed", "running", "stopped")
SAID = {"skipped": "done before", "running": "another process is at it"}


def exit_code(reports: Sequence[Report]) -> int:
    """The code with which all jobs ended, else 1."""
    codes = {report.code for report in reports}
    return codes.pop() if len(codes) == 1 else int(any(codes))


def print_table(reports: Sequence[Report]) -> None:
    """Print how the jobs ended, what each scored and its directory; equal names get numbers."""
    if not reports:
        return
    if len(reports) > 1:
        print(f"\n{summary(reports)}")
    given = [report.name for report in reports]
    names = [
        name if given.count(name) == 1 else f"{name} #{report.number}"
        for name, report in zip(given, reports, strict=True)
    ]
    width = max(map(len, names))
    print(f"\n{'run':<{width}}  {'P':>6} {'R':>6} {'F1':>6}  95% interval")
    for name, report in zip(names, reports, strict=True):
        print(f"{name:<{width}}  {_outcome(report)}")
    for name, report in zip(names, reports, strict=True):
        if not report.error and len(reports) == 1:
            _print_genres(report.metrics)
        if report.directory:
            print(f"{name}: {report.directory}")


def summary(reports: Sequence[Report]) -> str:
    """`12 runs: 3 done, 8 skipped, 1 failed`; other states only where there are any."""
    counts = {state: sum(report.state == state for report in reports) for state in STATES}
    told = [f"{n} {state}" for state, n in counts.items() if n or state in STATES[:3]]
    return f"{len(reports)} runs: {', '.join(told)}"


def _outcome(report: Report) -> str:
    if report.error:
        return f"{report.state.upper()}: {report.error.splitlines()[0]}"
    said = SAID.get(report.state, "")
    if report.state == "running":
        return said
    figures = "tuned; no test sentence was asked for"
    if report.metrics:
        figures = _figures(report.metrics)
    return f"{figures}  ({said})" if said else figures


def _figures(metrics: dict[str, float], prefix: str = "test/") -> str:
    figures = " ".join(f"{metrics[prefix + key]:6.2f}" for key in ("precision", "recall", "f1"))
    if f"{prefix}f1_low" not in metrics:
        return figures
    return f"{figures}  {metrics[prefix + 'f1_low']:.2f} to {metrics[prefix + 'f1_high']:.2f}"


def _print_genres(metrics: dict[str, float]) -> None:
    for key in metrics:
        if genre := re.fullmatch(r"test/([^/]+)/precision", key):
            print(f"  {genre[1]:<8} {_figures(metrics, f'test/{genre[1]}/')}")
