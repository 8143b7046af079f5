"""Runs and stores that were copied or moved: nothing is written to the place they came from."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from chmed_ner.track.database import PATIENCE

SQLITE = "sqlite:///"
ARTIFACTS = "mlartifacts"
"""The folder of the runs' files, beside the database of a store that has no server."""
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)
"""Where MLflow's tables say in which folder files lie."""

log = logging.getLogger(__name__)


def moved(place: str, before: Path, now: Path) -> str:
    """A path or SQLite address below the folder `before`, below `now`; any other as it is."""
    scheme = SQLITE if place.startswith(SQLITE) else ""
    path = Path(place.removeprefix(scheme))
    return scheme + str(now / path.relative_to(before)) if path.is_relative_to(before) else place


def bring_along(database: Path, artifacts: Path) -> None:
    """Let a store that was copied or moved keep its files in `artifacts`, beside its database.

    sqlite3.Error: the database cannot be read or written.
    """
    if database.parent != artifacts.parent or not database.is_file():
        return
    here = artifacts.as_uri()
    with closing(sqlite3.connect(database, timeout=PATIENCE)) as store:
        found = store.execute("SELECT artifact_location FROM experiments").fetchall()
        inner = f"/{ARTIFACTS}/"
        known = {str(place).partition(inner)[0] for (place,) in found if inner in str(place)}
        for folder in known:
            old = f"{folder}/{ARTIFACTS}"
            if old == here or not old.startswith("file://") or _is_same(old, artifacts):
                continue
            for table, column in COLUMNS:
                store.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE substr({column}, 1, ?) = ?",
                    (here, len(old) + 1, len(old) + 1, f"{old}/"),
                )
            store.commit()
            log.warning(
                "tracking: %s was copied or moved: its runs' files are now looked for in %s, not "
                "in %s",
                database,
                artifacts,
                old.removeprefix("file://"),
            )


def _is_same(uri: str, folder: Path) -> bool:
    old = Path(unquote(urlsplit(uri).path))
    return old.exists() and folder.exists() and old.samefile(folder)
