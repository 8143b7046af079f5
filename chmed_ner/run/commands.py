"""The command that makes a run again, and the sweep that it is a cell of, for the record."""

import re
import shlex
from collections.abc import Collection, Mapping, Sequence

from chmed_ner.errors import without_secrets
from chmed_ner.files import OUTPUT, read_text, sweep_directory, text_sha256
from chmed_ner.knobs import OWN_CONFIG, TRUSTED

QUESTION = re.compile(r"^# Question: (.*\n(?:#.*\n)*)", re.MULTILINE)
HOW = re.compile(r"rerun=|hydra[./]")
"""Settings of a sweep that say how it runs, not what."""


def command(name: str, *words: str) -> str:
    """`chmed-ner NAME WORDS`, quoted and without secrets, with the user's own folders."""
    folders = {"--runs-in": OUTPUT.get(), "--config-dir": OWN_CONFIG.get()}
    own = [f"{option}={folder}" for option, folder in folders.items() if folder]
    own += [f"--allow-target={each}" for each in TRUSTED.get()]
    return str(without_secrets(shlex.join(["chmed-ner", name, *own, *words])))


def cell_command(overrides: Sequence[str], choices: Mapping[str, str | None]) -> str:
    """The command of one cell; a named grid would start all of them again."""
    alone = ["hydra.mode=RUN"] if choices.get("sweep") else []
    return command("run", *overrides, *alone)


def sweep_of(
    words: Sequence[str], varied: Collection[str], choices: Mapping[str, str | None]
) -> dict[str, str]:
    """What the record of a cell says of its sweep; the same command is the same sweep."""
    name = choices.get("sweep")
    settings = (word for word in words if "=" in word and not word.startswith("-"))
    what = sorted(word for word in settings if not HOW.match(word))
    return {
        "key": text_sha256("\n".join(["sweep", *map(str, without_secrets(what))])),
        "name": f"sweep={name}" if name else f"sweep over {', '.join(sorted(varied))}",
        "command": command("run", *words),
        "question": question(name) if name else "",
    }


def question(sweep: str) -> str:
    """The question of a named grid, from the head of its file; empty where it asks none."""
    folders = [folder for folder in (OWN_CONFIG.get(), sweep_directory()) if folder]
    files = [folder / "sweep" / f"{sweep}.yaml" for folder in folders]
    text = next((read_text(file) for file in files if file.is_file()), "")
    found = QUESTION.search(text)
    return " ".join(found[1].replace("#", " ").split()) if found else ""
