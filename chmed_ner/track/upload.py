"""Write runs to MLflow: find or make a run, send its values and files, now or after an outage."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError, without_secrets
from chmed_ner.files import let_go, take
from chmed_ner.track.copied import ARTIFACTS, moved
from chmed_ner.track.record import RunRecord, flattened
from chmed_ner.track.store import KEY_TAG, Store
from chmed_ner.track.tracker import UNSENT_FILE, Description, Unsent, Value, read_history
from chmed_ner.track.trust import check_links, check_store

ERROR_TAG = "error"
PARAMS_AT_ONCE = 100
VALUES_AT_ONCE = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Synced:
    """What `sync` did, by run directory: sent, still at work, and not sent for a reason."""

    sent: list[Path] = field(default_factory=list)
    running: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)


def sync(output: Path, uri: str | None = None, *, trust_endpoint: bool = False) -> Synced:
    """Upload every run under `output` of which MLflow lacks something, to `uri` (None: where it was
    meant to go, if that is trusted or the user's own). Safe to repeat."""
    synced, runs = Synced(), output / "runs"
    for note in sorted([*runs.glob(f"*/{UNSENT_FILE}"), *runs.glob(f"*/rescore/*/{UNSENT_FILE}")]):
        directory = note.parent
        lock = take(directory)
        if lock is None:
            synced.running.append(directory)
            continue
        try:
            check_links(directory)
            meant = uri or _meant(directory, output)
            if not uri:
                check_store(directory, meant, trust=trust_endpoint, own=output.absolute())
            upload_run(directory, Store(meant, output / ARTIFACTS))
            synced.sent.append(directory)
        except Exception as error:  # of every kind: an artifact store has errors of its own library
            synced.failed[directory] = str(without_secrets(str(error)))
        finally:
            let_go(lock)
    return synced


def _meant(directory: Path, output: Path) -> str:
    """The address that a run was meant for, in `output` if it lay in the run's own output."""
    record, note = RunRecord.read(directory), Unsent.read(directory)
    before = record.output
    return note.uri if before is None else moved(note.uri, before, output.absolute())


def upload_run(directory: Path, store: Store) -> str:
    """Send everything of the run in `directory` and remove its note; returns its id in MLflow.

    Away when the store cannot be reached, RunError when it cannot be used.
    """
    note, record = Unsent.read(directory), RunRecord.read(directory)
    client = store.client()
    with store.reported():
        params = {key: value for key, value in record.config.items() if key != "resume"}
        tags = note.tags or {"config_hash": record.config_hash, "seed": str(record.seed)}
        run = Description(record.experiment, record.name, record.key, tags, params)
        begun = datetime.fromisoformat(record.started).timestamp() if record.started else None
        started = None if begun is None else int(begun * 1000)
        run_id = enter(client, store, run, record.mlflow_run_id, started)
        record.mlflow_run_id, record.mlflow_tracking_uri = run_id, store.shown
        if record.status == "RUNNING":
            record.status = "KILLED"
        record.write(directory)
        with store.locked():
            log_values(client, run_id, read_history(directory))
            send_artifacts(client, run_id, directory, note.artifacts)
            close_run(client, run_id, record.status, record.error, note.ended or None)
    (directory / UNSENT_FILE).unlink()
    return run_id


def enter(
    client: Any, store: Store, run: Description, run_id: str | None, started: int | None = None
) -> str:
    """The id of the run, RUNNING and with all its params; a run that is not there is made.

    `started` is the start of a new run, milliseconds since 1970, None for now.
    """
    experiment = store.experiment(client, run.experiment)
    with store.locked():
        found = _known(client, run_id) if run_id else None
        if found is None:  # its process may have died before it could note the id
            key = f"tags.`{KEY_TAG}` = '{run.key}'"
            found = next(iter(client.search_runs([experiment], key, max_results=1)), None)
        if found is None:
            if run_id:
                log.warning("tracking: MLflow at %s has no run %s; a new one", store.shown, run_id)
            tags = {**run.tags, KEY_TAG: run.key}
            found = client.create_run(experiment, start_time=started, run_name=run.name, tags=tags)
        else:
            client.update_run(found.info.run_id, status="RUNNING")
            if ERROR_TAG in found.data.tags:
                client.delete_tag(found.info.run_id, ERROR_TAG)
        _log_params(client, found, run.params)
    return str(found.info.run_id)


def _known(client: Any, run_id: str) -> Any:
    """The run, None if the store does not have it or has it among the deleted."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return run if run.info.lifecycle_stage == "active" else None


def _log_params(client: Any, run: Any, params: Mapping[str, Any]) -> None:
    """The flattened configuration without secrets; params are immutable, so only those missing."""
    from mlflow.entities import Param

    flat = flattened(params).items()
    missing = [Param(key, value) for key, value in flat if key not in run.data.params]
    for start in range(0, len(missing), PARAMS_AT_ONCE):
        client.log_batch(run.info.run_id, params=missing[start : start + PARAMS_AT_ONCE])


def log_values(client: Any, run_id: str, values: Sequence[Value]) -> None:
    """Send metric values; the store keeps one of equal ones."""
    from mlflow.entities import Metric

    metrics = [Metric(each.metric, each.value, each.time, each.step) for each in values]
    for start in range(0, len(metrics), VALUES_AT_ONCE):
        client.log_batch(run_id, metrics=metrics[start : start + VALUES_AT_ONCE])


def close_run(client: Any, run_id: str, status: str, error: str, ended: int | None = None) -> None:
    """Close a run, with its error if it has one; `ended` in milliseconds since 1970, None: now."""
    if error:
        client.set_tag(run_id, ERROR_TAG, error)
    client.set_terminated(run_id, status, ended)


def send_artifacts(client: Any, run_id: str, directory: Path, names: Sequence[str]) -> None:
    """Upload the named files and folders of a run directory that are there; InputError: of none."""
    for name in names:
        path = directory / name
        if not path.resolve().is_relative_to(directory.resolve()):
            raise InputError(f"{directory}: {name} is no part of the run and is not sent")
        if path.is_dir():
            client.log_artifacts(run_id, str(path), artifact_path=name.lstrip("."))
        elif path.is_file():
            client.log_artifact(run_id, str(path))
