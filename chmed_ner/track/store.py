"""An MLflow store: its address, its clients, the failures that pass, and the runs in it."""

import json
import logging
import os
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chmed_ner.errors import InputError, RunError, first_line, without_secrets
from chmed_ner.files import briefly
from chmed_ner.track.copied import SQLITE, bring_along
from chmed_ner.track.database import make_whole
from chmed_ner.track.described import NOTE, OPTIONS

KEY_TAG = "mlflow.chmed_ner.key"
"""Hidden in the UI, as MLflow hides its own."""
SCORES = "metrics.`test/f1`"
VIEW = "scores"
"""The view of an experiment that its page opens with `viewStateShareKey=scores`."""
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "test/f1",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
    f"mlflow.sharedViewState.{VIEW}": json.dumps(
        {
            "searchFilter": f"{SCORES} >= 0",
            "orderByKey": SCORES,
            "orderByAsc": False,
            "selectedColumns": [
                *(f"metrics.`test/{figure}`" for figure in ("f1", "precision", "recall")),
                *(f"params.`{name}`" for name in (*OPTIONS, "seed")),
            ],
            "chartsSearchFilter": "test/",
        }
    ),
}
"""The page has runs and charts, not traces; a view of it the scored runs, the best first."""
LIMITS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""An absent server costs seconds, not MLflow's four minutes; what the user has set stays."""


log = logging.getLogger(__name__)


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

    @property
    def _file(self) -> Path | None:
        """The file of an SQLite store, None for another store."""
        path = self.uri.removeprefix(SQLITE).partition("?")[0]
        return Path(path) if self.uri.startswith(SQLITE) else None

    def client(self) -> Any:
        """A client that has reached the store; a fresh SQLite store is made by one process.

        Away when a store cannot be reached or is locked, RunError when the store is unusable.
        """
        quiet_mlflow()
        self._check_database()
        with self.reported(), self.locked():
            if self._file is not None:
                make_whole(self._file, lambda file: _opened(f"{SQLITE}{file}"))
            client = _opened(self.uri)
            self._bring_along()
        return client

    def check_made(self) -> None:
        """InputError where an SQLite store is not there yet."""
        if self._file is not None and not self._file.is_file():
            raise InputError(
                f"{self._file}: there is no run yet; make one with chmed-ner run, or name the "
                "folder of your runs with paths.output=..."
            )

    def check_there(self) -> None:
        """Let a store that was copied or moved find its files; InputError: it is not there yet.

        Away: it is locked; RunError: it cannot be used.
        """
        self.check_made()
        with self.reported(), self.locked():
            self._bring_along()

    def _bring_along(self) -> None:
        if self._file is not None and self.artifacts is not None:
            bring_along(self._file, self.artifacts)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """SQLite's writers take turns: its own waiting ends in "database is locked"."""
        file = self._file
        with nullcontext() if file is None else briefly(file.with_suffix(".lock")):
            yield

    @contextmanager
    def reported(self) -> Iterator[None]:
        """MLflow's errors as Away or as one message of ours (RunError)."""
        try:
            yield
        except ModuleNotFoundError as error:
            raise InputError(
                f"tracking.uri={self.shown}: needs the package {error.name}; for PostgreSQL "
                "pip install 'chmed-ner[postgresql]'"
            ) from error
        except _failures() as error:
            reason = without_secrets(first_line(error))
            if _passes(error):
                raise Away(reason) from error
            raise RunError(
                f"tracking: MLflow at {self.shown} cannot be used ({reason}); {_cure(error)}"
            ) from error

    def experiment(self, client: Any, name: str, question: str = "") -> str:
        """The id of the experiment `name`, made if it is not there; two may try at once.

        `question` becomes its description, where it has none.
        """
        from mlflow.exceptions import MlflowException

        place = None  # a server knows it; MLflow would put a database's into the current directory
        if self.artifacts is not None and self.uri.startswith(DATABASES):
            folder = re.sub(r"[^\w.-]|^\.+$", "_", name)
            place = (self.artifacts / folder).as_uri()
        tags = EXPERIMENT_TAGS | ({NOTE: question} if question else {})
        with self.locked():
            known = client.get_experiment_by_name(name)
            if known is None:
                try:
                    made = client.create_experiment(name, artifact_location=place, tags=tags)
                    return str(made)
                except MlflowException:
                    known = client.get_experiment_by_name(name)
                    if known is None:
                        raise
            for key in tags.keys() - known.tags.keys():
                client.set_experiment_tag(known.experiment_id, key, tags[key])
            kept = str(known.artifact_location)
            if self.artifacts and kept.startswith("file:") and kept != place:
                log.warning(
                    "tracking: MLflow at %s keeps the files of experiment %s in %s, not in %s",
                    self.shown,
                    name,
                    kept,
                    self.artifacts,
                )
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


def quiet_mlflow() -> None:
    """Bound MLflow's patience, switch off telemetry and chatter, keep a parent's run id out."""
    for variable, value in LIMITS.items():
        os.environ.setdefault(variable, value)
    os.environ.pop("MLFLOW_RUN_ID", None)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it raises them as well


def _opened(uri: str) -> Any:
    """A client that has reached the store."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    client.search_experiments(max_results=1)
    return client


def _failures() -> tuple[type[Exception], ...]:
    """What a store fails with; imported when it does, since a server needs no SQLAlchemy."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, sqlite3.Error, OSError


def _cure(error: BaseException) -> str:
    status = getattr(error, "get_http_status_code", lambda: 0)()
    if status == 403 and "Host" in str(error):
        return "start the server with --allowed-hosts 'HOST,HOST:*', see conf/tracking/README.md"
    if status in (401, 403):
        return "check MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and the account's rights"
    return "start it, or use tracking=dry"


def _passes(error: BaseException) -> bool:
    """Whether an error says that a store is away, overloaded or locked, which may pass."""
    from requests.exceptions import ConnectionError as Unreachable, RetryError, Timeout

    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, Unreachable | RetryError | Timeout):
        seen = seen.__cause__ or seen.__context__
    status = getattr(error, "get_http_status_code", lambda: 0)()
    held = isinstance(error, TimeoutError) or "database is locked" in str(error)
    return held or seen is not None or status in (502, 503, 504)
