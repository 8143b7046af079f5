"""The SQLite file of a store: made whole or not at all, whatever interrupts its making."""

import glob
import logging
import shlex
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from chmed_ner.errors import RunError

PATIENCE = 15.0
"""Seconds to wait for a database that another program has locked."""
QUIET = 30.0
"""Seconds without a write, after which nobody is still making a half-made database."""
FILLED = ("experiments", "runs")
"""MLflow's first tables; a whole database has experiments, at least its default one."""

log = logging.getLogger(__name__)


def make_whole(file: Path, make: Callable[[Path], None]) -> None:
    """See that `file` is a database of MLflow, made by `make` elsewhere and renamed when whole.

    The caller holds the store's lock. What a killed process left half-made is moved aside.
    sqlite3.Error: it is locked, or no database; TimeoutError: another program is still making it;
    RunError: it is another program's.
    """
    if file.exists() and _is_half_made(file):
        age = time.time() - file.stat().st_mtime
        if age < QUIET:
            raise TimeoutError(f"{file}: written {age:.0f} s ago, without MLflow's schema yet")
        aside = file.with_name(f"{file.name}.half-made-{time.strftime('%Y%m%d-%H%M%S')}")
        file.rename(aside)
        log.warning(
            "tracking: %s lacks MLflow's schema: a process was killed while it made it; moved "
            "aside with: %s; a new one is made",
            file,
            shlex.join(["mv", str(file), str(aside)]),
        )
    if not file.exists():
        _make(file, make)


def _make(file: Path, make: Callable[[Path], None]) -> None:
    prefix = f".{file.name}."
    for left in file.parent.glob(f"{glob.escape(prefix)}*"):  # by a killed process
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=prefix) as folder:
        whole = Path(folder) / file.name
        make(whole)
        for suffix in ("-journal", "-wal", "-shm"):  # of an older file: it would be replayed
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        whole.replace(file)


def _is_half_made(file: Path) -> bool:
    """Whether a database has no experiment and no run; RunError: it has other tables than these."""
    address = f"{file.absolute().as_uri()}?mode=rw"  # rw: rolls back what a killed process left
    with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE)) as database:
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        tables = {name for (name,) in found}
        ours = tables.intersection(FILLED)
        if tables and not ours:
            raise RunError(
                f"tracking: {file} is the database of another program (it has the table "
                f"{min(tables)}, MLflow's not); give another tracking.uri"
            )
        return not any(
            database.execute(f"SELECT 1 FROM {each} LIMIT 1").fetchone() for each in ours
        )
