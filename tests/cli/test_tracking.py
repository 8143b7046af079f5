"""A tracking server that is down, or dies in mid-run: the run finishes and is uploaded later."""

import json
import re
import shutil
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.errors import InputError, RunError
from chmed_ner.track import Description, MLflowTracking, Tracker, best, sync
from chmed_ner.track.tracker import Unsent, has_unsent, read_history

RUN = ("backbone=scripted", "regime=zero_shot", "limit.test=2")


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address where nobody listens; retries do not wait."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def tracking(uri: str | None, store: Path | None) -> MLflowTracking:
    """MLflow at an address, or in a folder."""
    return MLflowTracking(uri=uri, store=store and str(store), upload_adapter=False)


def record(run: Path) -> dict[str, Any]:
    """A run's `run.json`."""
    content = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def runs_in(uri: str) -> list[Any]:
    """All runs of a store."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    ids = [each.experiment_id for each in client.search_experiments()]
    return list(client.search_runs(ids))


def test_a_run_whose_server_is_down_finishes_and_is_uploaded_later_once(
    command, dead: str, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://me:s3cret@{dead}"
    ended = command(
        "run", *RUN, "tracking=server", f"tracking.uri={address}", f"paths.output={tmp_path}"
    )
    assert ended.code == 0, ended.text
    assert f"MLflow at http://{dead} cannot be reached" in ended.text
    assert "report --sync" in ended.text
    assert "s3cret" not in ended.text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if b"s3cret" in path.read_bytes()]
    (run,) = (tmp_path / "runs").iterdir()
    assert record(run)["status"] == "FINISHED"
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test/f1"] > 50

    # still down: nothing is lost, and the exit code says that it was not sent
    ended = command("report", "--sync", f"paths.output={tmp_path}")
    assert ended.code == 1
    assert str(run) in ended.text
    assert has_unsent(run)

    shutil.copy(empty_store, tmp_path / "team.db")
    store = f"sqlite:///{tmp_path / 'team.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    for sent in ("1 sent", "0 sent"):
        ended = command("report", "--sync", f"paths.output={tmp_path}")
        assert ended.code == 0, ended.text
        assert sent in ended.out
        (tracked,) = runs_in(store)
        assert tracked.data.metrics == metrics
        assert tracked.info.status == "FINISHED"
        assert tracked.info.run_id == record(run)["mlflow_run_id"]
        assert tracked.data.params["backbone.noise"] == "0.2"
        assert tracked.data.tags["backbone"] == "scripted"
        assert tracked.info.end_time - tracked.info.start_time < 600_000
    from mlflow import MlflowClient

    client = MlflowClient(store)
    names = {item.path for item in client.list_artifacts(tracked.info.run_id)}
    assert {"hydra", "completions.jsonl", "metrics.json", "report.html"} <= names
    logged = Counter(value.metric for value in read_history(run))
    for name in metrics:
        assert len(client.get_metric_history(tracked.info.run_id, name)) == logged[name]


def test_a_dead_server_costs_seconds(dead: str, tmp_path: Path) -> None:
    began = time.monotonic()
    run = start(tracking(f"http://{dead}", None), tmp_path)
    for step in range(500):
        run.log({"train/loss": 1.0}, step)
    run.end("FINISHED")
    assert time.monotonic() - began < 20
    assert len(read_history(tmp_path)) == 500


def start(place: MLflowTracking, directory: Path, run_id: str | None = None) -> Any:
    """A run of ours in `directory`, with its record."""
    from chmed_ner.track.record import RunRecord

    if not (directory / "run.json").is_file():
        RunRecord(
            "name", "experiment", "0" * 64, {"seed": 1}, started="2026-01-01T00:00:00+00:00"
        ).write(directory)
    kept = RunRecord.read(directory)
    description = Description("experiment", "name", kept.key, {"seed": "1"}, {"seed": "1"})
    return place.start(description, directory, run_id)


def test_a_store_that_fails_in_mid_run_gets_the_rest_at_the_end(
    empty_store: Path, tmp_path: Path
) -> None:
    database = Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))
    run = start(tracking(None, tmp_path), tmp_path)
    run.log({f"m{n}": 1.0 for n in range(100)}, 0)
    assert not has_unsent(tmp_path)
    away = database.read_bytes()
    database.write_bytes(b"no database")
    run.log({f"m{n}": 2.0 for n in range(100)}, 1)
    assert has_unsent(tmp_path)
    run.log({"late": 3.0}, 2)
    database.write_bytes(away)
    run.end("FINISHED")
    assert not has_unsent(tmp_path)
    (tracked,) = runs_in(f"sqlite:///{database}")
    assert tracked.info.run_id == run.run_id
    assert tracked.data.metrics == {**{f"m{n}": 2.0 for n in range(100)}, "late": 3.0}


def test_a_run_that_mlflow_made_but_whose_id_was_lost_is_found_by_its_key(
    empty_store: Path, tmp_path: Path
) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    first = start(tracking(None, tmp_path), tmp_path)
    again = start(tracking(None, tmp_path), tmp_path)
    assert again.run_id == first.run_id
    assert len(runs_in(f"sqlite:///{tmp_path / 'mlflow.db'}")) == 1


def test_a_dead_database_is_noticed_before_mlflow_tries_for_minutes(
    dead: str, tmp_path: Path
) -> None:
    began = time.monotonic()
    run = start(tracking(f"postgresql://me:s3cret@{dead}/mlflow", tmp_path), tmp_path)
    assert time.monotonic() - began < 15
    assert run.run_id is None
    assert "s3cret" not in (tmp_path / "unsent.json").read_text()


def test_a_parent_s_run_in_the_environment_is_left_alone(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}")
    parent = client.create_run(client.create_experiment("experiment"), run_name="parent")
    monkeypatch.setenv("MLFLOW_RUN_ID", parent.info.run_id)
    run = start(tracking(None, tmp_path), tmp_path)
    run.log({"test/f1": 1.0}, 0)
    run.end("FINISHED")
    assert run.run_id != parent.info.run_id
    kept = client.get_run(parent.info.run_id)
    assert (kept.info.status, kept.info.run_name, kept.data.metrics) == ("RUNNING", "parent", {})


def test_a_database_is_told_where_files_lie() -> None:
    with pytest.raises(InputError, match=r"postgresql:.*use tracking=mlflow") as error:
        tracking("postgresql://me:s3cret@127.0.0.1/mlflow", None)
    assert "s3cret" not in str(error.value)


def test_a_missing_database_driver_is_named(tmp_path: Path) -> None:
    with socket.socket() as listening:  # somebody answers there, so that MLflow is asked
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        uri = f"mssql+pymssql://me@127.0.0.1:{listening.getsockname()[1]}/mlflow"
        with pytest.raises(InputError, match="needs the package pymssql"):
            start(tracking(uri, tmp_path), tmp_path)


def test_a_run_at_work_is_not_synced(tmp_path: Path) -> None:
    from chmed_ner.files import let_go, take

    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    Unsent(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", reason="away").write(run)
    lock = take(run)
    assert lock is not None
    synced = sync(tmp_path)
    assert (synced.sent, synced.running) == ([], [run])
    let_go(lock)


def test_history_is_kept_without_mlflow_too(tmp_path: Path) -> None:
    run = Tracker(tmp_path)
    run.log({"train/dev_f1": 40.0}, 10)
    run.log({"train/dev_f1": 60.5}, 20)
    run.log({"train/dev_f1": 50.0}, 30)
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"metric": "train/dev_f1", "value": 99')
    assert [each.step for each in read_history(tmp_path)] == [10, 20, 30]
    assert best(tmp_path, "train/dev_f1") == 60.5
    assert best(tmp_path, "train/loss") is None


@pytest.mark.parametrize(
    ("status", "body", "cure"),
    [
        (403, b"Invalid Host header - possible DNS rebinding attack detected", "'HOST,HOST:*'"),
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}', "the account's rights"),
        (401, b"You are not authenticated.", "MLFLOW_TRACKING_USERNAME"),
    ],
)
def test_a_server_that_refuses_is_answered_with_the_cure(
    status: int, body: bytes, cure: str, tmp_path: Path
) -> None:
    class Refusing(BaseHTTPRequestHandler):
        """Answers as MLflow's host check and its accounts do."""

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(RunError, match=re.escape(cure)):
                start(tracking(f"http://127.0.0.1:{server.server_address[1]}", None), tmp_path)
        finally:
            server.shutdown()
