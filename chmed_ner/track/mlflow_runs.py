"""Runs in MLflow, as a copy of their directories.

When the server goes away the run goes on; what MLflow lacks is noted in the directory and sent at
the run's end, or later by `chmed-ner report --sync`.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chmed_ner.errors import ChmedError, InputError, without_secrets
from chmed_ner.track.copied import ARTIFACTS, SQLITE
from chmed_ner.track.described import Description
from chmed_ner.track.store import DATABASES, Away, Store
from chmed_ner.track.sweeps import settle_around
from chmed_ner.track.tracker import Tracker, Tracking, Unsent, Value, has_unsent
from chmed_ner.track.upload import End, close_run, enter, log_values, send_artifacts, upload_run

BUFFER = 100
"""Metric values sent at once."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class MLflowTracking(Tracking):
    """MLflow at `uri`, else an SQLite store with its artifacts in the folder `store`."""

    uri: str | None
    store: str | None
    upload_adapter: bool

    def __post_init__(self) -> None:
        """Raise InputError without an address, and for a database that has no folder for files."""
        if self.uri is None and self.store is None:
            raise InputError("tracking.uri: give the address of an MLflow server")
        if self.uri is not None and self.store is None and self.uri.startswith(DATABASES):
            raise InputError(
                f"tracking.uri={self.uri.partition(':')[0]}:...: a database keeps no files; use "
                "tracking=mlflow, which puts them under paths.output, or a server before the "
                "database (make mlflow-server)"
            )

    @property
    def place(self) -> Store:
        """The store, and the folder of its files where no server keeps them."""
        folder = Path(self.store).absolute() if self.store else None
        return Store(self.uri or f"{SQLITE}{folder}/mlflow.db", folder and folder / ARTIFACTS)

    def start(self, run: Description, directory: Path, run_id: str | None) -> "MLflowRun":
        """A run set to RUNNING: taken up again by its id or key, else a new one.

        When the server is away it is kept in `directory` alone. RunError: the store is unusable.
        """
        store = self.place
        tracked = MLflowRun(store, run_id, directory, run)
        try:
            tracked.enter()
        except Away as error:
            tracked.lose(error)
        return tracked

    def killed(self, directory: Path, run_id: str, uri: str | None) -> None:
        """Mark a run as KILLED whose process died; noted for later if that cannot be done now."""
        store = self.place
        try:
            if uri != store.shown:
                raise Away("its process died")
            client = store.client()
            with store.reported(), store.locked():
                client.set_terminated(run_id, "KILLED")
                settle_around(client, run_id)
        except (Away, ChmedError) as error:
            if not has_unsent(directory):
                Unsent(uri=uri or store.shown, reason=str(error)).write(directory)


class MLflowRun(Tracker):
    """A run in MLflow. Before it is entered, and after a failure, it only takes notes."""

    def __init__(self, store: Store, run_id: str | None, directory: Path, run: Description) -> None:
        super().__init__(directory)
        self.run_id = run_id
        self.uri = store.shown
        self._store = store
        self._client: Any = None
        self._run = run
        self._waiting: list[Value] = []
        self._note = Unsent.read(directory) if has_unsent(directory) else None

    def enter(self) -> None:
        """Find the run in the store or make it; raises Away when the store cannot be reached."""
        client = self._store.client()
        with self._store.reported():
            self.run_id = enter(client, self._store, self._run, self.run_id)
        self._client = client

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Keep the values; they are sent in batches."""
        self._waiting += self.keep(metrics, step)
        if len(self._waiting) >= BUFFER:
            self._send()

    def artifacts(self, names: Sequence[str]) -> None:
        """Upload the named files and folders of the run directory that are there."""
        self._tell(lambda client: send_artifacts(client, str(self.run_id), self.directory, names))
        if self._note is not None:
            self._note.artifacts += [name for name in names if name not in self._note.artifacts]
            self._note.write(self.directory)

    def end(self, status: str, error: str = "") -> None:
        """Send what is waiting and close the run; what MLflow lacks is tried once more."""
        self._send()
        end = End(status, error)
        if self._note is None:
            self._tell(
                lambda client: close_run(client, str(self.run_id), self._run, self.directory, end)
            )
        if self._note is None:
            return
        self._note.ended = int(time.time() * 1000)
        self._note.write(self.directory)
        try:
            self.run_id = upload_run(self.directory, self._store)
            log.info("tracking: MLflow at %s is back and has all of this run", self.uri)
        except Exception as failure:  # of every kind, as in _tell: the run itself is done
            log.warning(
                "tracking: MLflow at %s lacks this run (%s); it is kept in %s: send it later with "
                "chmed-ner report --sync tracking.uri=%s",
                self.uri,
                without_secrets(str(failure)),
                self.directory,
                self.uri,
            )

    def lose(self, error: BaseException) -> None:
        """From now on take notes only."""
        self._client = None
        reason = str(without_secrets(str(error)))
        if self._note is None:
            self._note = Unsent(uri=str(self.uri), reason=reason, tags=dict(self._run.tags))
        self._note.write(self.directory)
        log.warning(
            "tracking: MLflow at %s cannot be reached (%s); the run goes on and keeps everything "
            "in %s",
            self.uri,
            reason,
            self.directory,
        )

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._tell(lambda client: log_values(client, str(self.run_id), waiting))

    def _tell(self, action: Callable[[Any], None]) -> None:
        """Do something with the client; any failure is noted, and the run goes on."""
        if self._client is None:
            return
        try:
            with self._store.reported(), self._store.locked():
                action(self._client)
        except Exception as error:  # of every kind: an artifact store has errors of its own library
            self.lose(error)
