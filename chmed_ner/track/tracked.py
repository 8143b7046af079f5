"""The runs in an MLflow store, read and never changed."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from chmed_ner.errors import RunError
from chmed_ner.track.store import Away, Store
from chmed_ner.track.sweeps import SWEEP_TAG

RUNS_AT_ONCE = 500


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
    """The runs of a store, read and never changed; RunError when it cannot be reached or used,
    InputError where an SQLite store is not there yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._texts: dict[tuple[str, str], str | None] = {}
        store.check_made()
        with self._reached():
            self._client = store.client()

    def all(self) -> list[TrackedRun]:
        """Every run of every experiment that is not deleted, the oldest first; those that only
        hold a sweep together are left out."""
        with self._reached():
            return sorted(self._runs(), key=lambda run: (run.started, run.run_id))

    def artifact(self, run: TrackedRun, path: str) -> str | None:
        """The text of a run's file, fetched once; None when the store does not have it."""
        from mlflow.exceptions import MlflowException

        key = (run.run_id, path)
        if key not in self._texts:
            self._texts[key] = None
            missing = suppress(MlflowException, OSError, UnicodeDecodeError)
            with tempfile.TemporaryDirectory() as folder, missing:
                place = self._client.download_artifacts(*key, folder)
                self._texts[key] = Path(place).read_text(encoding="utf-8")
        return self._texts[key]

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            with self._store.reported():
                yield
        except Away as error:
            raise RunError(
                f"tracking: MLflow at {self._store.shown} cannot be reached: {error}"
            ) from None

    def _runs(self) -> Iterator[TrackedRun]:
        names = {each.experiment_id: each.name for each in self._client.search_experiments()}
        token: str | None = None
        while names:
            page = self._client.search_runs(list(names), max_results=RUNS_AT_ONCE, page_token=token)
            for run in page:
                if SWEEP_TAG in run.data.tags:
                    continue
                yield TrackedRun(
                    run_id=run.info.run_id,
                    name=run.info.run_name or run.info.run_id,
                    experiment=names[run.info.experiment_id],
                    status=run.info.status,
                    started=run.info.start_time or 0,
                    tags=dict(run.data.tags),
                    params=dict(run.data.params),
                    metrics=dict(run.data.metrics),
                )
            token = page.token
            if not token:
                return
