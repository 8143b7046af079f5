"""An MLflow store: its address, its clients, the failures that pass, and the runs in it."""

import logging
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chmed_ner.errors import InputError, RunError, first_line, without_secrets
from chmed_ner.files import briefly

SQLITE = "sqlite:///"
KEY_TAG = "mlflow.chmed_ner.key"
"""Hidden in the UI, as MLflow hides its own."""
RUNS_AT_ONCE = 500
LIMITS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""An absent server costs seconds, not MLflow's four minutes; what the user has set stays."""


class Away(Exception):
    """The store cannot be reached now; later it may."""


DATABASES = (SQLITE, "postgresql", "mysql", "mssql")
"""How the addresses of stores begin that have no server before them."""


@dataclass(frozen=True)
class Store:
    """An MLflow store. `artifacts` is the folder of a store that has no server, else None."""

    uri: str
    artifacts: Path | None = None

    @property
    def shown(self) -> str:
        """The address without credentials."""
        return str(without_secrets(self.uri))

    def client(self) -> Any:
        """A client that has reached the store; a fresh SQLite store is made by one process.

        Away when a remote store cannot be reached, RunError when the store is unusable.
        """
        quiet_mlflow()
        from mlflow import MlflowClient

        self._check_database()
        with self.reported(), self.locked():
            client = MlflowClient(self.uri)
            client.search_experiments(max_results=1)
        return client

    @contextmanager
    def locked(self) -> Iterator[None]:
        """SQLite's writers take turns: its own waiting ends in "database is locked"."""
        file = Path(self.uri.removeprefix(SQLITE).partition("?")[0])
        sqlite = self.uri.startswith(SQLITE)
        with briefly(file.with_suffix(".lock")) if sqlite else nullcontext():
            yield

    @contextmanager
    def reported(self) -> Iterator[None]:
        """MLflow's errors as Away or as one message of ours (RunError)."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except ModuleNotFoundError as error:
            raise InputError(
                f"tracking.uri={self.shown}: needs the package {error.name}; for PostgreSQL "
                "pip install 'chmed-ner[postgresql]'"
            ) from error
        except (MlflowException, OSError) as error:
            reason = without_secrets(first_line(error))
            if _passes(error):
                raise Away(reason) from error
            raise RunError(
                f"tracking: MLflow at {self.shown} cannot be used ({reason}); start it, or use "
                "tracking=dry"
            ) from error

    def experiment(self, client: Any, name: str) -> str:
        """The id of the experiment `name`, made if it is not there; two may try at once."""
        from mlflow.exceptions import MlflowException

        place = None  # a server knows it; MLflow would put a database's into the current directory
        if self.artifacts is not None and self.uri.startswith(DATABASES):
            place = (self.artifacts / re.sub(r"^\.+|[^\w.-]", "_", name)).as_uri()
        with self.locked():
            known = client.get_experiment_by_name(name)
            if known is None:
                try:
                    return str(client.create_experiment(name, artifact_location=place))
                except MlflowException:
                    known = client.get_experiment_by_name(name)
                    if known is None:
                        raise
            return str(known.experiment_id)

    def _check_database(self) -> None:
        """Away when nobody answers at a database's address, where MLflow would try for minutes."""
        parts = urlsplit(self.uri)
        if parts.scheme in ("http", "https", "sqlite") or not parts.hostname:
            return
        try:
            with socket.create_connection((parts.hostname, parts.port or 5432), timeout=10):
                return
        except OSError as error:
            raise Away(f"{parts.hostname} does not answer: {error}") from error


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
    """The runs of a store, read and never changed; RunError when it cannot be reached or used."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._texts: dict[tuple[str, str], str | None] = {}
        with self._reached():
            self._client = store.client()

    def all(self) -> list[TrackedRun]:
        """Every run of every experiment that is not deleted, the oldest first."""
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


def quiet_mlflow() -> None:
    """Bound MLflow's patience, switch off telemetry and chatter, keep a parent's run id out."""
    for variable, value in LIMITS.items():
        os.environ.setdefault(variable, value)
    os.environ.pop("MLFLOW_RUN_ID", None)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _passes(error: BaseException) -> bool:
    """Whether an error says that a server is away or overloaded, which may pass."""
    from requests.exceptions import ConnectionError as Unreachable, RetryError, Timeout

    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, Unreachable | RetryError | Timeout):
        seen = seen.__cause__ or seen.__context__
    status = getattr(error, "get_http_status_code", lambda: 0)()
    return seen is not None or status in (502, 503, 504)
