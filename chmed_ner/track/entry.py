"""A run's place in MLflow: found by its id or its key, or made; its params, values and files."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chmed_ner.track.secrets import flattened
from chmed_ner.track.store import KEY_TAG, Store
from chmed_ner.track.tracker import Description, Value

ERROR_TAG = "error"
PARAMS_AT_ONCE = 100
VALUES_AT_ONCE = 500

log = logging.getLogger(__name__)


def enter(
    client: Any, store: Store, run: Description, run_id: str | None, started: int | None = None
) -> str:
    """The id of the run, RUNNING and with all its params; made if it is not there.

    `started` is the start of a new run, milliseconds since 1970, None for now. A run that the store
    does not know (any more) is made anew, with a warning.
    """
    experiment = store.experiment(client, run.experiment)
    with store.locked():
        found = _known(client, run_id) if run_id else None
        found = found or _by_key(client, experiment, run.key)
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


def _by_key(client: Any, experiment: str, key: str) -> Any:
    """The run that was made with this key, by a process that died before it could note the id."""
    found = client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    return found[0] if found else None


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


def send_artifacts(client: Any, run_id: str, directory: Path, names: Sequence[str]) -> None:
    """Upload the named files and folders of a run directory that are there."""
    for name in names:
        path = directory / name
        if path.is_dir():
            client.log_artifacts(run_id, str(path), artifact_path=name.lstrip("."))
        elif path.is_file():
            client.log_artifact(run_id, str(path))
