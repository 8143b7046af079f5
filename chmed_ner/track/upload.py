"""Write runs to MLflow: find or make a run, send its values and files, now or after an outage."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError, without_secrets
from chmed_ner.files import let_go, read_json, take
from chmed_ner.track.copied import ARTIFACTS, moved
from chmed_ner.track.described import NOTE, PARENT, DataInput, Description, description, note
from chmed_ner.track.models import note_model
from chmed_ner.track.record import RUN_FILE, RunRecord
from chmed_ner.track.store import KEY_TAG, Store
from chmed_ner.track.sweeps import parent_of, settle, settle_around
from chmed_ner.track.tracker import UNSENT_FILE, Unsent, Value, read_history
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
    notes = [*runs.glob(f"*/{UNSENT_FILE}"), *runs.glob(f"*/rescore/*/{UNSENT_FILE}")]
    for directory in sorted(path.parent for path in notes):
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
    unsent, record = Unsent.read(directory), RunRecord.read(directory)
    client = store.client()
    with store.reported():
        tags = unsent.tags or {"config_hash": record.config_hash, "seed": str(record.seed)}
        run = description(record, tags)
        begun = datetime.fromisoformat(record.started).timestamp() if record.started else None
        started = None if begun is None else int(begun * 1000)
        run_id = enter(client, store, run, record.mlflow_run_id, started)
        record.mlflow_run_id, record.mlflow_tracking_uri = run_id, store.shown
        if record.status == "RUNNING":
            record.status = "KILLED"
        record.write(directory)
        with store.locked():
            log_values(client, run_id, read_history(directory))
            send_artifacts(client, run_id, directory, unsent.artifacts)
            end = End(record.status, record.error, unsent.ended or None)
            close_run(client, run_id, run, directory, end)
    (directory / UNSENT_FILE).unlink()
    return run_id


def enter(
    client: Any, store: Store, run: Description, run_id: str | None, started: int | None = None
) -> str:
    """The id of the run, RUNNING and with all its params; a run that is not there is made.

    `started` is the start of a new run, milliseconds since 1970, None for now.
    """
    experiment = store.experiment(client, run.experiment, run.sweep.get("question", ""))
    parent = parent_of(client, store, experiment, run.sweep) if run.sweep else ""
    with store.locked():
        found = _known(client, run_id) if run_id else None
        if found is None:  # its process may have died before it could note the id
            key = f"tags.`{KEY_TAG}` = '{run.key}'"
            found = next(iter(client.search_runs([experiment], key, max_results=1)), None)
        if found is None:
            if run_id:
                log.warning("tracking: MLflow at %s has no run %s; a new one", store.shown, run_id)
            tags = {**run.tags, KEY_TAG: run.key, **({PARENT: parent} if parent else {})}
            found = client.create_run(experiment, start_time=started, run_name=run.name, tags=tags)
        else:
            client.update_run(found.info.run_id, status="RUNNING")
            if ERROR_TAG in found.data.tags:
                client.delete_tag(found.info.run_id, ERROR_TAG)
        _log_params(client, found, run.params)
        _log_data(client, found, run.data)
        if parent:
            settle(client, parent)
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


def _log_data(client: Any, run: Any, data: Sequence[DataInput]) -> None:
    """The splits that the run reads; the store keeps one of equal ones."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(
                name=each.name,
                digest=each.digest,
                source_type="local",
                source=json.dumps({"uri": ", ".join(each.files)}, ensure_ascii=False),
                profile=json.dumps({"num_rows": each.sentences, "sha256": dict(each.files)}),
            ),
            [InputTag("mlflow.data.context", each.split)],
        )
        for each in data
    ]
    if inputs:
        client.log_inputs(run.info.run_id, inputs)


def _log_params(client: Any, run: Any, params: Mapping[str, str]) -> None:
    """Params are immutable, so only those missing."""
    from mlflow.entities import Param

    missing = [Param(key, value) for key, value in params.items() if key not in run.data.params]
    for start in range(0, len(missing), PARAMS_AT_ONCE):
        client.log_batch(run.info.run_id, params=missing[start : start + PARAMS_AT_ONCE])


def log_values(client: Any, run_id: str, values: Sequence[Value]) -> None:
    """Send metric values; the store keeps one of equal ones."""
    from mlflow.entities import Metric

    metrics = [Metric(each.metric, each.value, each.time, each.step) for each in values]
    for start in range(0, len(metrics), VALUES_AT_ONCE):
        client.log_batch(run_id, metrics=metrics[start : start + VALUES_AT_ONCE])


@dataclass(frozen=True)
class End:
    """How a run ended; `time` is in milliseconds since 1970, None: now."""

    status: str
    error: str = ""
    time: int | None = None


def close_run(client: Any, run_id: str, run: Description, directory: Path, end: End) -> None:
    """Close a run, with its error if it has one, its scores in its note, and what it has learnt."""
    if end.error:
        client.set_tag(run_id, ERROR_TAG, end.error)
    if (directory / RUN_FILE).is_file():
        metrics = directory / "metrics.json"
        scores = read_json(metrics) if end.status == "FINISHED" and metrics.is_file() else {}
        client.set_tag(run_id, NOTE, note(RunRecord.read(directory), scores))
    if end.status == "FINISHED":
        note_model(client, run_id, run, directory, read_history(directory))
    client.set_terminated(run_id, end.status, end.time)
    settle_around(client, run_id)


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
