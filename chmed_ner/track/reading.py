"""Runs as the store has them: read, never changed."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chmed_ner.errors import RunError
from chmed_ner.track.store import Away, Store

AT_ONCE = 500


@dataclass(frozen=True)
class TrackedRun:
    """A run in MLflow. `started` is in milliseconds since 1970; `metrics` are the last values."""

    run_id: str
    name: str
    experiment: str
    status: str
    started: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]


class TrackedRuns:
    """The runs of a store. Raises RunError when it cannot be reached or used."""

    def __init__(self, store: Store) -> None:
        self._store = store
        try:
            self._client = store.client()
        except Away as error:
            raise RunError(
                f"tracking: MLflow at {store.shown} cannot be reached: {error}"
            ) from None

    def all(self) -> list[TrackedRun]:
        """Every run of every experiment that is not deleted, the oldest first."""
        found = [TrackedRun(**each) for each in self._reported(lambda: list(self._runs()))]
        return sorted(found, key=lambda run: (run.started, run.run_id))

    def artifact(self, run: TrackedRun, path: str) -> str | None:
        """The text of a run's file; None when the store does not have it."""
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory() as folder:
            try:
                place = self._client.download_artifacts(run.run_id, path, folder)
                return Path(place).read_text(encoding="utf-8")
            except (MlflowException, OSError, UnicodeDecodeError):
                return None

    def _reported(self, action: Any) -> Any:
        try:
            with self._store.reported():
                return action()
        except Away as error:
            raise RunError(
                f"tracking: MLflow at {self._store.shown} cannot be reached: {error}"
            ) from None

    def _runs(self) -> Iterator[dict[str, Any]]:
        names = {each.experiment_id: each.name for each in self._client.search_experiments()}
        token: str | None = None
        while names:
            page = self._client.search_runs(list(names), max_results=AT_ONCE, page_token=token)
            for run in page:
                yield {
                    "run_id": run.info.run_id,
                    "name": run.info.run_name or run.info.run_id,
                    "experiment": names[run.info.experiment_id],
                    "status": run.info.status,
                    "started": run.info.start_time or 0,
                    "tags": dict(run.data.tags),
                    "params": dict(run.data.params),
                    "metrics": dict(run.data.metrics),
                }
            token = page.token
            if not token:
                return
