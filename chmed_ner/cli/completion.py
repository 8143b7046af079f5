"""Hydra's tab completion behind our commands: it knows a program and its overrides only.

The shell calls `chmed-ner -sc query=SHELL` with the line so far in COMP_LINE.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from chmed_ner.cli import COMMANDS

WITH_OVERRIDES = ("run", "stats", "prompts", "report")
"""The commands that take Hydra's overrides."""
PROGRAM = "chmed-ner"


def is_completion(words: Sequence[str]) -> bool:
    """Whether the words ask for shell completion."""
    return any(word.startswith(("-sc", "--shell-completion")) for word in words)


def commands_for(words: Sequence[str]) -> list[str] | None:
    """The commands to offer, where one is still being typed; None when Hydra is to be asked."""
    if not any(word.startswith("query=") for word in words):
        return None
    typed = _typed(os.environ.get("COMP_LINE", ""))
    command, space, _ = typed.partition(" ")
    if not space:
        return [name for name in COMMANDS if name.startswith(command)]
    return None if command in WITH_OVERRIDES else []


@contextmanager
def without_command() -> Iterator[None]:
    """COMP_LINE as Hydra can read it during the block: the program and its overrides."""
    before = os.environ.get("COMP_LINE")
    if before is not None:
        os.environ["COMP_LINE"] = f"{PROGRAM} {_typed(before).partition(' ')[2].lstrip()}"
    try:
        yield
    finally:
        if before is not None:
            os.environ["COMP_LINE"] = before


def _typed(line: str) -> str:
    """What stands after the program: `chmed-ner` or `python -m chmed_ner`."""
    return re.sub(r"^\s*(\S*python[\d.]*\s+-m\s+)?\S+\s*", "", line, count=1)
