"""The SQLite store that is half-made, locked, or another program's: the run goes on or says why."""

import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chmed_ner.errors import RunError
from chmed_ner.track import database, sync
from chmed_ner.track.tracker import has_unsent, read_history
from tests.cli.test_tracking import runs_in, start, tracking

RUN = ("run", "method=lexicon", "limit.test=2")
HOLD = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1])
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def half_made(file: Path, age: float) -> None:
    """What a killed process leaves: the first tables, an early revision, nothing in them."""
    with sqlite3.connect(file) as made:
        made.executescript(
            "CREATE TABLE experiments (experiment_id INTEGER); CREATE TABLE runs (run_uuid TEXT);"
            "CREATE TABLE alembic_version (version_num TEXT);"
            "INSERT INTO alembic_version VALUES ('451aebb31d03')"
        )
    os.utime(file, (time.time() - age,) * 2)


@contextmanager
def locked(file: Path, seconds: float = 600) -> Iterator[subprocess.Popen[str]]:
    """Another program that holds an exclusive lock."""
    command = [sys.executable, "-c", HOLD, str(file), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def test_a_half_made_database_is_moved_aside_by_the_command_that_is_told(
    empty_store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "mlflow.db"
    half_made(file, age=3600)
    before = file.read_bytes()
    (tmp_path / "mlflow.db-journal").write_bytes(b"of the killed process")
    left = tmp_path / ".mlflow.db.left"
    left.mkdir()
    with caplog.at_level(logging.WARNING):
        database.make_whole(file, lambda whole: shutil.copy(empty_store, whole))
    (aside,) = tmp_path.glob("mlflow.db.half-made-*")
    assert f"mv {file} {aside}" in caplog.text
    assert aside.read_bytes() == before
    assert file.read_bytes() == empty_store.read_bytes()
    assert sorted(tmp_path.iterdir()) == sorted([file, aside])


def test_a_database_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(whole: Path) -> None:
        half_made(whole, age=0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.make_whole(tmp_path / "mlflow.db", interrupted)
    assert not list(tmp_path.iterdir())


def test_a_database_that_another_program_is_making_is_waited_for(
    empty_store: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mlflow.db"
    half_made(file, age=1)
    run = start(tracking(None, tmp_path), tmp_path)
    run.log({"test/f1": 50.0}, 0)
    assert has_unsent(tmp_path)
    shutil.copy(empty_store, file)
    run.end("FINISHED")
    assert not has_unsent(tmp_path)
    assert not list(tmp_path.glob("mlflow.db.half-made-*"))
    (tracked,) = runs_in(f"sqlite:///{file}")
    assert tracked.data.metrics == {"test/f1": 50.0}


def test_a_locked_database_is_away_and_gets_the_run_later(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    file = Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))
    directory = tmp_path / "runs" / "one"
    directory.mkdir(parents=True)
    with locked(file):
        began = time.monotonic()
        run = start(tracking(None, tmp_path), directory)
        run.log({"test/f1": 50.0}, 0)
        run.end("FINISHED")
        assert time.monotonic() - began < 20
        assert run.run_id is None
        assert "locked" in (directory / "unsent.json").read_text()
        assert list(sync(tmp_path).failed) == [directory]
    assert sync(tmp_path).sent == [directory]
    (tracked,) = runs_in(f"sqlite:///{file}")
    assert tracked.data.metrics == {"test/f1": 50.0}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("CREATE TABLE patients (name TEXT)", "another program.*table patients.*tracking.uri"),
        ("", "file is not a database"),
    ],
)
def test_another_program_s_file_is_refused_and_left_alone(
    tmp_path: Path, content: str, reason: str
) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"" if content else b"minutes of the meeting " * 100)
    if content:
        with sqlite3.connect(file) as other:
            other.execute(content)
    os.utime(file, (0, 0))
    before = file.read_bytes()
    with pytest.raises(RunError, match=reason):
        start(tracking(None, tmp_path), tmp_path)
    assert file.read_bytes() == before
    assert not list(tmp_path.glob("mlflow.db.*"))


@pytest.mark.slow
def test_a_lock_of_a_minute_costs_a_run_nothing(
    process: Callable[..., subprocess.Popen[str]], empty_store: Path, tmp_path: Path
) -> None:
    file = Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))
    with locked(file, 60), process(*RUN, f"paths.output={tmp_path}", cwd=tmp_path) as running:
        said = "".join(running.communicate(timeout=300))
    assert running.returncode == 0, said
    assert "Traceback" not in said
    assert "the run goes on" in said
    (run,) = (tmp_path / "runs").iterdir()
    if has_unsent(run):
        assert sync(tmp_path).sent == [run]
    (tracked,) = runs_in(f"sqlite:///{file}")
    assert tracked.info.status == "FINISHED"
    assert tracked.data.metrics["test/f1"] > 0


@pytest.mark.slow
def test_a_lock_in_mid_run_costs_it_nothing(
    empty_store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))
    run = start(tracking(None, tmp_path), tmp_path)
    with locked(file, 60):
        for step in range(5):
            run.log({f"m{number}": float(step) for number in range(100)}, step)
        assert has_unsent(tmp_path)
        assert len(read_history(tmp_path)) == 500
    run.end("FINISHED")
    assert not has_unsent(tmp_path)
    assert "Traceback" not in capfd.readouterr().err
    (tracked,) = runs_in(f"sqlite:///{file}")
    assert tracked.data.metrics == {f"m{number}": 4.0 for number in range(100)}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
def test_a_first_run_interrupted_at_any_moment_leaves_the_next_one_working(
    process: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: int
) -> None:
    moment = random.Random(number).uniform(0, 25)
    sent = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)[number % 3]
    with process(*RUN, f"paths.output={tmp_path}", cwd=tmp_path) as first:
        try:
            first.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            first.send_signal(sent)
            first.communicate(timeout=60)
    with process(*RUN, f"paths.output={tmp_path}", cwd=tmp_path) as second:
        said = "".join(second.communicate(timeout=300))
    assert second.returncode == 0, f"{sent.name} after {moment:.1f} s: {said}"
    assert "Traceback" not in said
    newest = runs_in(f"sqlite:///{tmp_path / 'mlflow.db'}")[0]
    assert newest.info.status == "FINISHED"
    assert not list(tmp_path.glob("*/*/unsent.json"))
    assert not list(tmp_path.glob(".mlflow.db.*"))
