"""Runs that were kept in their directories while the server was away, uploaded later, once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from chmed_ner.files import let_go, take
from chmed_ner.track.entry import ERROR_TAG, enter, log_values, send_artifacts
from chmed_ner.track.record import RunRecord
from chmed_ner.track.secrets import without_credentials
from chmed_ner.track.store import Store
from chmed_ner.track.tracker import Description, read_history
from chmed_ner.track.unsent import FILE, Unsent


@dataclass(frozen=True)
class Synced:
    """What `sync` did, by run directory: sent, still at work, and not sent for a reason."""

    sent: list[Path] = field(default_factory=list)
    running: list[Path] = field(default_factory=list)
    failed: Mapping[Path, str] = field(default_factory=dict)


def sync(output: Path, uri: str | None = None) -> Synced:
    """Upload every run under `output` of which MLflow lacks something.

    They go to `uri`, with None to the address they were meant for (which has no credentials here).
    Safe to repeat: a run keeps its id, and equal values are kept once.
    """
    sent: list[Path] = []
    running: list[Path] = []
    failed: dict[Path, str] = {}
    runs = output / "runs"
    for note in sorted([*runs.glob(f"*/{FILE}"), *runs.glob(f"*/rescore/*/{FILE}")]):
        directory = note.parent
        lock = take(directory)
        if lock is None:
            running.append(directory)
            continue
        try:
            upload(directory, Store(uri or Unsent.read(directory).uri, output / "mlartifacts"))
            sent.append(directory)
        except Exception as error:  # of every kind: an artifact store has errors of its own library
            failed[directory] = str(without_credentials(str(error)))
        finally:
            let_go(lock)
    return Synced(sent, running, failed)


def upload(directory: Path, store: Store) -> str:
    """Send everything of the run in `directory` and remove its note; returns its id in MLflow.

    Raises Away when the store cannot be reached, RunError when it cannot be used.
    """
    note, record = Unsent.read(directory), RunRecord.read(directory)
    client = store.client()
    with store.reported():
        params = {key: value for key, value in record.config.items() if key != "resume"}
        tags = note.tags or {"config_hash": record.config_hash, "seed": str(record.seed)}
        run = Description(record.experiment, record.name, record.key, tags, params)
        run_id = enter(client, store, run, record.mlflow_run_id, _milliseconds(record.started))
        record.mlflow_run_id, record.mlflow_tracking_uri = run_id, store.shown
        if record.status == "RUNNING":
            record.status = "KILLED"
        record.write(directory)
        with store.locked():
            log_values(client, run_id, read_history(directory))
            send_artifacts(client, run_id, directory, note.artifacts)
            if record.error:
                client.set_tag(run_id, ERROR_TAG, record.error)
            client.set_terminated(run_id, record.status, note.ended or None)
    (directory / FILE).unlink()
    return run_id


def _milliseconds(started: str) -> int | None:
    return int(datetime.fromisoformat(started).timestamp() * 1000) if started else None
