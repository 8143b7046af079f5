"""Every target of the Makefile does what it says, at smoke scale, in a folder of its own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKEFILE = ROOT / "Makefile"
BIN = Path(sys.executable).parent
SCRIPTED = "backbone=scripted regime=zero_shot tracking=dry limit.test=2"
TARGETS = re.findall(r"^([a-z-]+):.*##", MAKEFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
EXERCISED = {
    "help", "setup", "demo", "test", "test-all", "lint", "run", "sweep", "data", "ui", "clean",
    "mlflow-server", "bench", "gpu-check", "app", "report", "model",
}  # fmt: skip


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`make ...` in `folder`, with this interpreter's programs and nothing to set up."""
    return subprocess.run(
        command(folder, *words), capture_output=True, text=True, timeout=300, env=environment()
    )


def environment() -> dict[str, str]:
    """Ours, without what a `make test` hands down to the make of a test."""
    return {
        key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))
    }


def command(folder: Path, *words: str) -> list[str]:
    """The words of that call."""
    return [
        "make", "-C", str(folder), "-f", str(MAKEFILE), "-o", ".venv/.ready", f"BIN={BIN}", *words,
    ]  # fmt: skip


def test_these_are_the_targets_and_help_lists_them(tmp_path: Path) -> None:
    assert len(TARGETS) == len(set(TARGETS)) >= 11
    assert set(TARGETS) <= EXERCISED, "a new target needs a test here"
    done = make(tmp_path, "help")
    assert done.returncode == 0
    assert {line.split()[1] for line in done.stdout.splitlines() if line.startswith("  make ")} == (
        set(TARGETS)
    )
    assert make(tmp_path).stdout == done.stdout


@pytest.mark.parametrize(
    "target",
    [
        "demo", "test", "test-all", "lint", "ui", "run", "data", "mlflow-server", "app", "bench",
        "gpu-check", "report",
    ],
)  # fmt: skip
def test_recipes_call_programs_that_are_there(tmp_path: Path, target: str) -> None:
    done = make(tmp_path, "-n", target, 'ARGS=one="two words"')
    assert done.returncode == 0, done.stderr
    programs = []
    for line in done.stdout.splitlines():
        if line.startswith("make: "):
            continue
        for part in re.split(r"&&|;", line):
            words = [word for word in part.split() if not re.match(r"[A-Z_]+=", word)]
            programs += words[:1] if words[:1] != ["cd"] else []  # the shell's own
    assert programs
    for program in programs:
        assert shutil.which(program), f"{target}: {program}"
    assert target == "lint" or 'one="two words"' in done.stdout


def test_setup_installs_the_lock_with_hashes_once(tmp_path: Path) -> None:
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    words = ["make", "-C", str(tmp_path), "-f", str(MAKEFILE), "-n", "setup"]
    first = subprocess.run(
        words, capture_output=True, text=True, check=True, env=environment()
    ).stdout
    assert "--require-hashes -r requirements.lock" in first
    assert re.search(r"pip install .*uv==[\d.]+", first)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".ready").touch()
    again = subprocess.run(
        words, capture_output=True, text=True, check=True, env=environment()
    ).stdout
    assert "pip" not in again


def python(folder: Path, version: tuple[int, int], *, has_venv: bool = True) -> Path:
    """This Python, which says that it is of another version; it makes no environment."""
    modules = folder / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(
        f"import sys\nsys.version_info = {(*version, 1, 'final', 0)}\n", encoding="utf-8"
    )
    if not has_venv:
        (modules / "ensurepip.py").write_text("raise ImportError\n", encoding="utf-8")
    path = folder / "python"
    path.write_text(
        f"""#!/bin/sh
        if [ "$2" = venv ]; then echo "makes $3"; exit 1; fi
        PYTHONPATH={modules} exec {sys.executable} "$@"
        """,
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


def setup(folder: Path, python: Path | str) -> subprocess.CompletedProcess[str]:
    """`make setup` with that Python in an empty folder."""
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    words = ["make", "-C", str(folder), "-f", str(MAKEFILE), "setup", f"PYTHON={python}"]
    return subprocess.run(words, capture_output=True, text=True, env=environment(), check=False)


@pytest.mark.parametrize(
    ("version", "has_venv", "says"),
    [
        ((3, 10), True, "this is Python 3.10"),
        ((3, 15), True, "this is Python 3.15"),
        ((3, 12), False, "apt install python3-venv"),
    ],
)
def test_a_python_that_will_not_do_is_refused_before_anything_is_made(
    tmp_path: Path, version: tuple[int, int], has_venv: bool, says: str
) -> None:
    folder = tmp_path / "clone"
    folder.mkdir()
    done = setup(folder, python(tmp_path, version, has_venv=has_venv))
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert done.returncode
    assert len(said) == 1
    for word in (says, "Python 3.11 to 3.14", "PYTHON=", "Linux", "disk", "memory"):
        assert word in said[0]
    assert not (folder / ".venv").exists()
    assert "PYTHON=" in setup(folder, "no-such-python").stdout


def test_the_metadata_refuses_the_same_pythons() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["requires-python"] == ">=3.11,<3.15"


@pytest.mark.parametrize(("before", "kept"), [("3.12", True), ("3.10", False), ("", False)])
def test_an_environment_of_another_python_is_made_anew(
    tmp_path: Path, before: str, kept: bool
) -> None:
    folder = tmp_path / "clone"
    program = folder / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    if before:
        program.write_text(f"#!/bin/sh\necho {before}\n", encoding="utf-8")
        program.chmod(0o755)
    done = setup(folder, python(tmp_path, (3, 12)))
    assert "makes .venv" in done.stdout
    assert program.parent.exists() == kept


def test_run_makes_a_run(tmp_path: Path) -> None:
    done = make(tmp_path, "run", f"ARGS={SCRIPTED} paths.output={tmp_path}/outputs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("outputs/runs/*/predictions.jsonl"))) == 1


def test_sweep_makes_a_run_of_every_cell(tmp_path: Path) -> None:
    words = f"method=lexicon tracking=dry limit.test=2 seed=1,2 paths.output={tmp_path}/outputs"
    done = make(tmp_path, "sweep", f"ARGS={words}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("outputs/runs/*/predictions.jsonl"))) == 2


def test_a_bad_argument_fails_the_target(tmp_path: Path) -> None:
    done = make(tmp_path, "run", f"ARGS={SCRIPTED} paths.output={tmp_path} sed=1")
    assert done.returncode == 2
    assert "sed: there is no such key" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_report_needs_runs(tmp_path: Path) -> None:
    done = make(tmp_path, "report", f"ARGS=paths.output={tmp_path}/outputs")
    assert done.returncode == 2
    assert f"{tmp_path}/outputs/mlflow.db: there is no run yet" in done.stderr
    assert not (tmp_path / "outputs").exists()


def test_ui_needs_runs(tmp_path: Path) -> None:
    done = make(tmp_path, "ui", f"ARGS=paths.output={tmp_path}/outputs")
    assert done.returncode == 2
    assert f"{tmp_path}/outputs/mlflow.db: there is no run yet" in done.stderr
    assert not (tmp_path / "outputs").exists()


def test_data_fetches(tmp_path: Path) -> None:
    done = make(tmp_path, "data", "ARGS=--help")
    assert done.returncode == 0
    assert "usage: chmed-ner data fetch" in done.stdout
    done = make(tmp_path, "data", f"ARGS=nothing --root {tmp_path}")
    assert done.returncode == 2
    assert "nothing" in done.stderr


def test_model_brings_the_file_of_an_option(tmp_path: Path) -> None:
    done = make(tmp_path, "-n", "model", "NAME=qwen2_5_coder_0_5b")
    assert "python -m experiments.models.fetch qwen2_5_coder_0_5b" in done.stdout
    assert make(ROOT, "model", "NAME=qwen3_8b").returncode == 2


def test_clean_removes_caches_and_keeps_runs(tmp_path: Path) -> None:
    gone = ["chmed_ner/__pycache__", "tests/cli/__pycache__", ".mypy_cache", "dist", "build"]
    kept = ["outputs/runs/one", ".venv/bin", "chmed_ner/data", "tests"]
    for folder in (*gone, *kept):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "file").touch()
    done = make(tmp_path, "clean")
    assert done.returncode == 0, done.stderr
    assert not [folder for folder in gone if (tmp_path / folder).exists()]
    assert all((tmp_path / folder / "file").exists() for folder in kept)


def test_mlflow_answers_on_a_port(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "outputs").mkdir()
    server = subprocess.Popen(
        command(tmp_path, "mlflow-server", f"ARGS=--port {port} --workers 1"),
        env={
            **environment(),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # processes for jobs that nobody sends
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 240
        while time.monotonic() < end and server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as page:
                    assert (page.status, page.read()) == (200, b"OK")
                    break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        else:
            raise AssertionError(f"no answer on port {port}")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
    assert (tmp_path / "outputs" / "server" / "mlflow.db").is_file()
