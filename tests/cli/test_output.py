"""Standard streams that are closed, full, or left by whoever read them: no traceback, few words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    ("--help",),
    ("run", "--help"),
    ("run", "--info"),
    ("run", "--cfg", "job"),
    ("data", "list"),
    ("prompts", "--show", "50"),
    ("predict", "--help"),
)


def started(
    words: tuple[str, ...], out: int, err: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """`chmed-ner ...` with these streams."""
    return subprocess.Popen([sys.executable, "-m", "chmed_ner", *words], stdout=out, stderr=err)


@pytest.mark.parametrize("together", [False, True])
def test_a_command_ends_silently_when_its_reader_leaves(together: bool) -> None:
    running = []
    for words in COMMANDS[: 3 if together else None]:
        reading, writing = os.pipe()
        os.close(reading)
        running.append(started(words, writing, writing if together else subprocess.PIPE))
        os.close(writing)
    for words, each in zip(COMMANDS, running, strict=False):
        _, said = each.communicate(timeout=120)
        assert (each.returncode, said or b"") == (0, b""), words


def test_a_device_that_is_full_is_named() -> None:
    with Path("/dev/full").open("wb") as full:
        running = [started(words, full.fileno()) for words in COMMANDS[:2]]
        for each in running:
            _, said = each.communicate(timeout=120)
            assert each.returncode == 1
            assert said == b"error: No space left on device\n"


def test_streams_that_are_closed_are_no_mistake_of_ours(finished_run: Path) -> None:
    predict = f"predict --run {finished_run}"
    for redirected, code, said in (
        ("run --cfg job >&-", 0, ""),
        ("data list >&- 2>&-", 0, ""),
        (f"{predict} <&-", 2, "error: standard input is closed: name a file, or pipe a text in\n"),
        (f"echo 頭痛 | {{}} {predict} >&-", 0, ""),
        (f"echo 頭痛 | {{}} {predict} >/dev/full", 1, "error: No space left on device\n"),
    ):
        program = f"{sys.executable} -m chmed_ner"
        line = redirected.format(program) if "{}" in redirected else f"{program} {redirected}"
        ended = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True)
        errors = [each for each in ended.stderr.splitlines(keepends=True) if each[0] != "["]
        assert (ended.returncode, "".join(errors)) == (code, said), redirected
