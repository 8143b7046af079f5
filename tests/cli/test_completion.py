"""Tab completion, asked by a real shell."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """`chmed-ner` in a folder of its own, for PATH."""
    path = tmp_path / "bin" / "chmed-ner"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m chmed_ner "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def bash(script: str, program: Path) -> str:
    """What a bash script prints that finds the program on its PATH."""
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={**os.environ, "PATH": f"{program.parent}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        cwd=program.parent,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_commands_groups_options_and_keys(program: Path) -> None:
    lines = [
        "chmed-ner r",
        "chmed-ner run tra",
        "chmed-ner run -m restoration=",
        "chmed-ner predict x",
    ]
    asked = "\n".join(
        f"""
        COMP_LINE='{line}' COMP_POINT={len(line)} COMP_CWORD={len(line.split()) - 1}
        COMPREPLY=()
        hydra_bash_completion
        echo "${{COMPREPLY[@]}}"
        """
        for line in lines
    )
    script = f"""
        eval "$(chmed-ner run -sc install=bash)"
        complete -p | grep -c "hydra_bash_completion chmed-ner"
        {asked}
    """
    registered, commands, groups, options, nothing = bash(script, program).splitlines()
    assert registered == "1"
    assert set(commands.split()) == {"run", "rescore", "report"}
    assert "tracking=" in groups.split()
    assert {"restoration=first", "restoration=in_order"} <= set(options.split())
    assert nothing == ""
