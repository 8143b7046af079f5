"""A team's tracking server: MLflow on PostgreSQL, and one that dies while a run goes on."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
Process = Callable[..., subprocess.Popen[str]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def server(python: Path, store: str, artifacts: Path, port: int, *more: str) -> Iterator[str]:
    """An MLflow server with artifact store; its address. Killed at the end, or before."""
    running = subprocess.Popen(
        [
            python, "-m", "mlflow", "server", "--artifacts-destination", artifacts, "--host",
            "127.0.0.1", "--port", str(port), "--workers", "1", *more,
        ],
        env={**os.environ, "MLFLOW_BACKEND_STORE_URI": store, "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, running)
        yield address
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def wait_for(address: str, running: subprocess.Popen[bytes]) -> None:
    """Until the server answers; it first makes its tables."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        assert running.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.3)
    raise AssertionError("the server does not answer")


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL of our own on loopback; Debian's initdb refuses root."""
    if not POSTGRES:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    user = user if os.geteuid() == 0 else []
    home = Path(tempfile.mkdtemp(prefix="chmed_ner-postgresql-"))
    if user:
        shutil.chown(home, "postgres", "postgres")
    programs, data, port = POSTGRES[-1], home / "data", free_port()
    try:
        initdb = [*user, programs / "initdb", "-D", data, "-A", "trust", "-U", "mlflow"]
        subprocess.run([*initdb, "-E", "UTF8", "-N"], cwd=home, check=True, capture_output=True)
        running = subprocess.Popen(
            [*user, programs / "postgres", "-D", data, "-p", str(port), "-k", home, "-F",
             "-c", "listen_addresses=127.0.0.1"],
            cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
            end = time.monotonic() + 60
            while subprocess.run(ready, check=False, capture_output=True).returncode:
                assert time.monotonic() < end
                time.sleep(0.2)
            yield f"postgresql://mlflow@127.0.0.1:{port}/postgres"
        finally:
            running.send_signal(signal.SIGQUIT)  # ends at once
            running.wait(timeout=60)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def runs_in(address: str) -> list[Any]:
    """All runs that a server has."""
    from mlflow import MlflowClient

    client = MlflowClient(address)
    ids = [each.experiment_id for each in client.search_experiments()]
    return list(client.search_runs(ids))


def check_equal(address: str, output: Path, count: int) -> None:
    """The server has what the run directories hold: every run once, each with all it needs."""
    from mlflow import MlflowClient

    client = MlflowClient(address)
    tracked = {run.info.run_id: run for run in runs_in(address)}
    records = {path.parent: json.loads(path.read_text()) for path in output.glob("runs/*/run.json")}
    assert len(tracked) == len(records) == count
    assert {record["mlflow_run_id"] for record in records.values()} == set(tracked)
    for directory, record in records.items():
        run = tracked[record["mlflow_run_id"]]
        assert run.info.status == record["status"] == "FINISHED"
        assert run.data.metrics == json.loads((directory / "metrics.json").read_text())
        assert run.data.params["backbone.seed"] == str(record["config"]["backbone"]["seed"])
        names = {item.path for item in client.list_artifacts(run.info.run_id)}
        assert {"hydra", "completions.jsonl", "metrics.json", "submission", "run.json"} <= names


def run_words(address: str, output: Path, seed: int) -> tuple[str, ...]:
    """One scripted run on a server."""
    return (
        "run", "backbone=scripted", "regime=zero_shot", "dataset.genres=[WA]", "limit.test=4",
        f"backbone.seed={seed}", "tracking=server", f"tracking.uri={address}",
        f"paths.output={output}",
    )  # fmt: skip


def test_the_readme_s_allowed_hosts_let_in_clients_that_name_the_port(
    empty_store: Path, tmp_path: Path
) -> None:
    said = (ROOT / "conf" / "tracking" / "README.md").read_text(encoding="utf-8")
    hosts = re.search(r"--allowed-hosts '([^']+)'", said)
    assert hosts is not None
    named = hosts[1].replace("mlflow.example.org", "localhost")
    store, port = f"sqlite:///{shutil.copy(empty_store, tmp_path / 'team.db')}", free_port()
    with server(
        Path(sys.executable), store, tmp_path / "artifacts", port, "--allowed-hosts", named
    ):
        assert runs_in(f"http://localhost:{port}") == []
        with pytest.raises(Exception, match="Invalid Host header"):
            runs_in(f"http://127.0.0.1:{port}")


def test_eight_jobs_at_once_on_postgresql(
    postgresql: str, python_with: Callable[[str], Path], process: Process, tmp_path: Path
) -> None:
    python, output = python_with("postgresql"), tmp_path / "output"
    with server(python, postgresql, tmp_path / "artifacts", free_port()) as address:
        jobs = [process(*run_words(address, output, seed), cwd=tmp_path) for seed in range(8)]
        for job in jobs:
            out, err = job.communicate(timeout=600)
            assert job.returncode == 0, out + err
            assert "tracking:" not in err
        check_equal(address, output, 8)


def test_eight_jobs_at_once_write_to_postgresql_itself(
    postgresql: str, python_with: Callable[[str], Path], tmp_path: Path
) -> None:
    python, output = python_with("postgresql"), tmp_path / "output"
    words = ["-m", "chmed_ner", *run_words(postgresql, output, 0), "tracking=mlflow"]
    first = subprocess.run([python, *words], capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr  # it makes the tables
    jobs = [
        subprocess.Popen(
            [python, *words[:2], *run_words(postgresql, output, seed), "tracking=mlflow"]
        )
        for seed in range(1, 9)
    ]
    assert [job.wait(timeout=600) for job in jobs] == [0] * 8
    program = (
        "import collections, sys\nfrom mlflow import MlflowClient\n"
        "c = MlflowClient(sys.argv[1])\n"
        "runs = c.search_runs([e.experiment_id for e in c.search_experiments()])\n"
        "print(len(runs), len({r.data.params['backbone.seed'] for r in runs}),"
        " {r.info.status for r in runs}, {len(r.data.metrics) > 50 for r in runs})"
    )
    told = subprocess.run(
        [python, "-c", program, postgresql], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "9 9 {'FINISHED'} {True}"
    assert len(list(output.glob("mlartifacts/*/*/artifacts/report.html"))) == 9


def test_a_server_that_dies_in_mid_run_gets_the_run_later_once(
    process: Process, empty_store: Path, tmp_path: Path
) -> None:
    output, port = tmp_path / "output", free_port()
    shutil.copy(empty_store, tmp_path / "team.db")
    store, artifacts = f"sqlite:///{tmp_path / 'team.db'}", tmp_path / "artifacts"
    slow = ("backbone.batch_size=1", "backbone.seconds=1", "limit.test=8")
    with server(Path(sys.executable), store, artifacts, port) as address:
        running = process(*run_words(address, output, 3), *slow, cwd=tmp_path)
        end = time.monotonic() + 200
        while not [p for p in output.glob("runs/*/completions.jsonl") if p.stat().st_size]:
            assert time.monotonic() < end
            assert running.poll() is None, running.communicate()
            time.sleep(0.1)
        assert [run.info.status for run in runs_in(address)] == ["RUNNING"]
    began = time.monotonic()
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0, out + err
    assert "report --sync" in err
    assert time.monotonic() - began < 120
    (directory,) = (output / "runs").iterdir()
    assert (directory / "unsent.json").is_file()
    with server(Path(sys.executable), store, artifacts, port) as address:
        for said in ("1 sent", "0 sent"):
            words = ("report", "--sync", "--trust-endpoint", f"paths.output={output}")
            out, err = process(*words, cwd=tmp_path).communicate(timeout=120)
            assert said in out, out + err
            check_equal(address, output, 1)
    assert not (directory / "unsent.json").exists()
