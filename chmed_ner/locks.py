"""Who is at work in a run directory: a lock that the operating system frees when a process dies."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = "run.lock"
"""In the directory of a run that is going on, or was when its process was killed."""
PATIENCE = 120.0
"""Seconds to wait for a lock that is held for moments only."""


def take(directory: Path) -> "BaseFileLock | None":
    """The lock of a run directory, held from now on; None when another process is at work there."""
    import filelock

    lock = filelock.FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return None
    return lock


def let_go(lock: "BaseFileLock") -> None:
    """Free the lock and leave no file of it behind."""
    with suppress(OSError):  # whoever waits for the removed file notices and makes a new one
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


@contextmanager
def briefly(path: Path) -> Iterator[None]:
    """Hold the lock file `path` during the block. TimeoutError when it stays taken."""
    import filelock

    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path, timeout=PATIENCE):
        yield
