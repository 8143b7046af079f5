"""`chmed-ner run`: Hydra's own command line, and the table of how its jobs ended."""

import argparse
import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, TextIO, cast

import hydra
import hydra._internal.utils
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from chmed_ner.cli import COMMANDS
from chmed_ner.cli.jobs import Job
from chmed_ner.cli.reports import exit_code, print_table
from chmed_ner.errors import ChmedError, Clean, InputError, printable, without_settings
from chmed_ner.files import (
    OUTPUT,
    cache_directory,
    config_directory,
    sweep_directory,
)
from chmed_ner.run import (
    check_encodings,
    check_overrides,
    hydra_message,
    in_each_cell,
    own_config_directory,
    register_config,
    spelled_out,
)

VALUED = (
    "--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn",
    "--config-dir", "-cd",
)  # fmt: skip
"""Hydra's options that a value follows."""


class HydraParser(argparse.ArgumentParser):
    """Takes a help that is no text, which argparse refuses since Python 3.14: Hydra 1.3 has one, to
    be made up when it is shown."""

    def add_argument(self, *names: Any, **how: Any) -> argparse.Action:
        """Declare an argument; its help is not checked."""
        text = how.pop("help", None)
        action = super().add_argument(*names, **how)
        action.help = text
        return action


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
    options, overrides = options_and_overrides(arguments)
    if OUTPUT.get():
        overrides.insert(0, f"paths.output={json.dumps(str(OUTPUT.get()), ensure_ascii=False)}")
    check_overrides(overrides)
    words = spelled_out(overrides)
    job = Job([*options, *words], journal)
    try:
        with _command_line(["chmed-ner run", *options, *in_each_cell(words)]):
            code = _code_of(_program(job), [*map(_folder, options)], overrides)
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
    known = {**vars(argparse), "ArgumentParser": HydraParser}
    utils: Any = hydra._internal.utils
    utils.argparse = SimpleNamespace(**known)
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


def _folder(option: str) -> Path:
    """The folder that `--config-dir=FOLDER`, or the word after `--config-dir`, names."""
    return Path(option.rpartition("=")[2])


def options_and_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's options, with their values, and its overrides; it wants the options first."""
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
    return options, overrides


def _code_of(program: Any, folders: Sequence[Path] = (), overrides: Sequence[str] = ()) -> int:
    """Run the program; its errors become one message and an exit code.

    InputError: a configuration file, of `folders` too, is not UTF-8.
    """
    try:
        program()
    except ChmedError as error:
        return error.exit_code
    except (HydraException, OmegaConfBaseException) as error:
        print(f"error: {printable(hydra_message(error, overrides))}", file=sys.stderr)
        return 2
    except OSError:
        raise
    except Exception as error:
        if isinstance(error, UnicodeDecodeError):
            own = own_config_directory()
            check_encodings([config_directory(), sweep_directory(), own, *folders])
        print(f"error: {printable(f'{type(error).__name__}: {error}')}", file=sys.stderr)
        return 1
    return 0


def _without_twice(text: str) -> str:
    """What is said, without Hydra's line about an error that we have told."""
    return re.sub(r"^Error executing job with overrides: .*\n?", "", text)


@contextmanager
def _command_line(words: list[str]) -> Iterator[None]:
    """Hydra reads `sys.argv`; with HYDRA_FULL_ERROR it hands errors to us instead of printing."""
    before, full = (sys.argv, sys.stderr), os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = words, "1"
    sys.stderr = cast("TextIO", Clean(sys.stderr, _without_twice))
    try:
        yield
    finally:
        sys.argv, sys.stderr = before
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full


WITH_OVERRIDES = ("run", "stats", "prompts", "report", "ui")
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
