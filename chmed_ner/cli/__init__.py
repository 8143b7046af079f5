"""The command line: `chmed-ner COMMAND ...`. Each command is a module of this folder."""

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TextIO, cast

from chmed_ner.errors import ChmedError, Clean, note_secrets, note_words, without_secrets

COMMANDS = {
    "run": "run an experiment; everything after `run` is Hydra's: -m sweeps, --cfg job, --help",
    "data": "list, fetch and verify the corpora",
    "stats": "corpus statistics per split and genre",
    "prompts": "look at the filled prompts and targets, or export them",
    "score": "official scores of official-format files",
    "rescore": "parse, restore and score a run again from its completions",
    "compare": "two runs' scores with intervals, their difference, and the paired p-value",
    "report": "leaderboard, figures and published rows of many runs; --sync uploads kept runs",
    "predict": "raw text in, entities out, with a finished run's model",
    "export": "a finished run as an MLflow model, to be served or loaded elsewhere",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code (0 done, 1 failed, 2 bad input, 130 interrupted)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    before = sys.stdout, sys.stderr
    keep_secrets(words)
    try:
        return _answered(words)
    except Exception:
        traceback.print_exc()  # here, where no secret is printed
        return 1
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


def _answered(words: list[str]) -> int:
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
        print(f"error: no command {name!r}; choose from {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return _execute(name, rest)
    except ChmedError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _overview() -> str:
    width = max(map(len, COMMANDS))
    return "\n".join(
        [
            "chmed-ner: Chinese medical named entity recognition with large language models\n",
            "usage: chmed-ner COMMAND ...        chmed-ner COMMAND --help\n",
            *(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()),
        ]
    )


def _execute(name: str, words: Sequence[str]) -> int:
    module = importlib.import_module(f"chmed_ner.cli.{name}")
    if name == "run":
        return int(module.execute(words))
    parser = argparse.ArgumentParser(prog=f"chmed-ner {name}", description=COMMANDS[name])
    module.configure(parser)
    # `data` has subcommands, with which argparse cannot intermix options and overrides
    parse = parser.parse_args if name == "data" else parser.parse_intermixed_args
    return int(module.execute(parse(words)))
