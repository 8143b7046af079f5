"""Which questions this process is asking: no other that shares the cache asks them meanwhile."""

import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)


class Claims:
    """Lock files `<root>/<two digits>/<key>.claim`, free again when their process ends.

    The system's locks, without a library: one is taken for every question.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self._held: dict[str, int] = {}

    def take(self, key: str) -> bool:
        """Is it now for this process alone to ask the question? False: another one is at it."""
        if self.root is None or key in self._held:
            return True
        path = self._path(key)
        try:
            handle = _locked(path)
        except OSError as error:  # a full disk: the answer is worth more than that it is asked once
            log.warning("%s: cannot be locked (%s)", path, error.strerror)
            return True
        if handle is not None:
            self._held[key] = handle
        return handle is not None

    def release(self, key: str) -> None:
        """Others may ask, or find the answer."""
        handle = self._held.pop(key, None)
        if handle is not None:
            with suppress(OSError):
                self._path(key).unlink()
            os.close(handle)

    def _path(self, key: str) -> Path:
        return Path(f"{self.root}/{key[:2]}/{key}.claim")


def _locked(path: Path) -> int | None:
    """The file, open and locked; None where another holds it, or has just removed it."""
    import fcntl

    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_nlink:
            return handle
    except BlockingIOError:
        pass
    except OSError:
        os.close(handle)
        raise
    os.close(handle)
    return None
