"""MLflow, in one file. The run directory holds everything as well: tracking is a copy of it."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from chmed_ner.errors import InputError, RunError
from chmed_ner.recorded import flattened, without_credentials

BUFFER = 100
"""Metric values sent at once."""
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


class Tracker(Protocol):
    """One run as its steps see it."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Keep the values of one step."""

    def timed(self, stage: str) -> Any:
        """A `with` block whose seconds are logged as `time/<stage>_seconds`."""


class Tracking(Protocol):
    """Where runs are recorded."""

    def start(
        self,
        *,
        experiment: str,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        run_id: str | None,
    ) -> "DryRun":
        """A run, new or taken up again by its id."""


class DryRun:
    """A run that is tracked nowhere; the base of one that is. Collects the seconds of stages."""

    run_id: str | None = None
    uri: str | None = None

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Nothing is kept."""

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's wall-clock seconds to the stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - began
            self.seconds[stage] = self.seconds.get(stage, 0.0) + elapsed

    def artifacts(self, directory: Path, names: Sequence[str]) -> None:
        """Nothing is uploaded."""

    def end(self, status: str) -> None:
        """Nothing to close. `status` is FINISHED, FAILED or KILLED."""


class DryTracking:
    """No tracking."""

    def start(self, **_: Any) -> DryRun:
        """A run that is tracked nowhere."""
        return DryRun()


class MLflowTracking:
    """MLflow at `uri`, else an SQLite store with its artifacts in the folder `store`."""

    def __init__(self, uri: str | None, store: str | None, upload_adapter: bool = False) -> None:
        if uri is None and store is None:
            raise InputError("tracking.uri: give the address of an MLflow server")
        self.uri = uri
        self.store = Path(store).absolute() if store else None
        self.upload_adapter = upload_adapter

    def start(
        self,
        *,
        experiment: str,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        run_id: str | None,
    ) -> "MLflowRun":
        """A new run, or the run `run_id` set to RUNNING again (its params stay as they are)."""
        quiet_mlflow()
        with reported(self._address()):
            client = self._client()
            if run_id is not None:
                client.update_run(run_id, status="RUNNING")
                return MLflowRun(client, run_id, self._address())
            experiment_id = self._experiment(client, experiment)
            run = client.create_run(experiment_id, run_name=name, tags=dict(tags))
            tracked = MLflowRun(client, run.info.run_id, self._address())
            tracked.params(params)
            return tracked

    def _address(self) -> str:
        if self.uri is not None:
            return self.uri
        assert self.store is not None
        return f"sqlite:///{self.store / 'mlflow.db'}"

    def _client(self) -> Any:
        """A client; a fresh SQLite store is made under a file lock, once for all jobs."""
        from mlflow import MlflowClient

        if self.uri is None:
            assert self.store is not None
            self.store.mkdir(parents=True, exist_ok=True)
        with self._locked(), few_retries():
            client = MlflowClient(self._address())
            client.search_experiments(max_results=1)
        return client

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self.store is None or self.uri is not None:
            yield
            return
        import filelock

        with filelock.FileLock(self.store / "mlflow.lock"):
            yield

    def _experiment(self, client: Any, name: str) -> str:
        with self._locked():
            known = client.get_experiment_by_name(name)
            if known is not None:
                return str(known.experiment_id)
            location = None
            if self.store is not None and not self._address().startswith("http"):
                location = (self.store / "mlartifacts" / re.sub(r"[^\w.-]", "_", name)).as_uri()
            return str(client.create_experiment(name, artifact_location=location))


class MLflowRun(DryRun):
    """A run in MLflow."""

    def __init__(self, client: Any, run_id: str, uri: str) -> None:
        super().__init__()
        self.client = client
        self.run_id = run_id
        self.uri = without_credentials(uri)
        self._waiting: list[Any] = []

    def params(self, params: Mapping[str, Any]) -> None:
        """Log the flattened configuration, without secrets."""
        from mlflow.entities import Param

        flat = [Param(key, value) for key, value in flattened(params).items()]
        with reported(self.uri):
            for start in range(0, len(flat), BUFFER):
                self.client.log_batch(self.run_id, params=flat[start : start + BUFFER])

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Keep the values; they are sent in batches."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(name, float(v), now, step) for name, v in metrics.items()]
        if len(self._waiting) >= BUFFER:
            self._send()

    def _send(self) -> None:
        with reported(self.uri):
            while self._waiting:
                self.client.log_batch(self.run_id, metrics=self._waiting[: 5 * BUFFER])
                del self._waiting[: 5 * BUFFER]

    def artifacts(self, directory: Path, names: Sequence[str]) -> None:
        """Upload the named files and folders of the run directory that are there."""
        with reported(self.uri):
            for name in names:
                path = directory / name
                if path.is_dir():
                    folder = name.lstrip(".")
                    self.client.log_artifacts(self.run_id, str(path), artifact_path=folder)
                elif path.is_file():
                    self.client.log_artifact(self.run_id, str(path))

    def end(self, status: str) -> None:
        """Send what is waiting and close the run."""
        self._send()
        with reported(self.uri):
            self.client.set_terminated(self.run_id, status)


@contextmanager
def few_retries() -> Iterator[None]:
    """Ask an absent server for seconds before a run begins, not for MLflow's four minutes."""
    given = os.environ.get(RETRIES)
    os.environ.setdefault(RETRIES, "2")
    try:
        yield
    finally:
        if given is None:
            del os.environ[RETRIES]


@contextmanager
def reported(uri: str | None) -> Iterator[None]:
    """MLflow's errors as one message of ours (RunError)."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        address = without_credentials(uri)
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(
            f"tracking: MLflow at {address} cannot be used ({without_credentials(reason)}); start "
            "it, or use tracking=dry"
        ) from error


def quiet_mlflow() -> None:
    """Switch MLflow's telemetry and chatter off, and keep a parent's run id out of our runs."""
    import logging

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.pop("MLFLOW_RUN_ID", None)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
