"""The command line: `chmed-ner COMMAND ...`. Each command is a module of this folder."""

import argparse
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from typing import TextIO, cast

from chmed_ner.errors import (
    ChmedError,
    Clean,
    InputError,
    interrupted,
    note_secrets,
    note_words,
    printable,
    without_secrets,
)

COMMANDS = {
    "run": "run an experiment; everything after `run` is Hydra's: -m sweeps, --cfg job, --help",
    "data": "list, fetch and verify the corpora",
    "stats": "corpus statistics per split and genre",
    "prompts": "look at the filled prompts and targets, or export them",
    "score": "official scores of official-format files",
    "rescore": "parse, restore and score a run again from its completions",
    "compare": "two runs' scores with intervals, their difference, and the paired p-value",
    "report": "leaderboard, figures and published rows of many runs; --sync uploads kept runs",
    "ui": "MLflow's pages over the runs, in a browser",
    "predict": "raw text in, entities out, with a finished run's model or a backbone as it is",
    "audit": "annotations that are probably wrong, by models that have not seen them",
    "convert": "annotated texts from one format to another: columns, JSON, doccano, brat ...",
    "export": "a finished run as an MLflow model, to be served or loaded elsewhere",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code (0 done, 1 failed, 2 bad input, 130 interrupted).

    It ends silently, with 0, when whoever reads what it prints has left.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    logging.raiseExceptions = False  # a log line without a reader is no error
    logging.setLogRecordFactory(_PrintableRecord)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the program
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    before = sys.stdout, sys.stderr
    keep_secrets(words)
    try:
        return _code_of(words)
    finally:
        sys.stdout, sys.stderr = before


def keep_secrets(words: Sequence[str]) -> None:
    """Note the secrets in `words` and the environment; from now on nothing prints one."""
    note_secrets(dict(os.environ))
    note_words(words)
    sys.stdout, sys.stderr = (
        cast("TextIO", stream and Clean(stream, without_secrets))  # None where one is closed
        for stream in (sys.stdout, sys.stderr)
    )


def _code_of(words: list[str]) -> int:
    try:
        code = copy_context().run(_execute, words)
        sys.stdout.flush()
    except ChmedError as error:
        code = _failed(str(error), error.exit_code)
    except BrokenPipeError:
        code = _closed()
    except OSError as error:
        _closed()  # it may be what is full
        reason = error.strerror or str(error)
        code = _failed(f"{error.filename}: {reason}" if error.filename else reason, 1)
    except KeyboardInterrupt:
        code = _failed("interrupted", 130)
    except Exception as error:
        if interrupted(error):
            return _failed("interrupted", 130)
        print(printable(traceback.format_exc()), file=sys.stderr, end="")  # without secrets
        code = 1
    return code


class _PrintableRecord(logging.LogRecord):
    """A log line without what could steer a terminal, such as a server's words."""

    def getMessage(self) -> str:
        return printable(super().getMessage())


def _failed(message: str, code: int) -> int:
    said = message if code == 130 else f"error: {printable(message)}"
    with suppress(OSError):
        print(said, file=sys.stderr)
    return code


def _closed() -> int:
    """Let nothing more be written to standard output, at the program's end neither."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _overview() -> str:
    width = max(map(len, COMMANDS))
    return "\n".join(
        [
            "chmed-ner: Chinese medical named entity recognition with large language models\n",
            "usage: chmed-ner COMMAND ...        chmed-ner COMMAND --help\n",
            *(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()),
        ]
    )


def _execute(words: list[str]) -> int:
    if words and words[0].startswith("-sc"):  # shell completion of Hydra calls without a command
        words.insert(0, "run")
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else 2
    if words[0] == "--version":
        from chmed_ner.track import version

        print(f"chmed-ner {version()}")
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        raise InputError(f"no command {name!r}; choose from {', '.join(COMMANDS)}")
    from chmed_ner.cli.options import own_options, use_own

    helps = name == "run" and bool({"-h", "--help"} & set(rest))
    module = importlib.import_module(f"chmed_ner.cli.{'choices' if helps else name}")
    own = own_options(f"chmed-ner {name}")
    parser = argparse.ArgumentParser(
        prog=f"chmed-ner {name}", description=COMMANDS[name], parents=[own]
    )
    # `data` has subcommands, with which argparse cannot intermix options and overrides
    parse = parser.parse_args if name == "data" else parser.parse_intermixed_args
    try:
        theirs, rest = own.parse_known_args(rest)
        if name != "run":
            module.configure(parser)
            given = parse(rest)
    except SystemExit as end:  # after --help, or after a word that it does not know
        return int(end.code or 0)
    use_own(theirs)
    return int(module.execute(rest if name == "run" else given))
