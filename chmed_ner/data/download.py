"""Fetching corpora: never half a file, never a wrong one, under a corpus file's name.

A file arrives as `NAME.part`, is compared with its published checksum and only then takes its name.
A later attempt continues the part (HTTP Range), which pooch cannot. Processes that fetch into the
same folder take turns by a file lock.

HealthNER's `train.zip` is kept, because its blob id is the only proof of origin there is. Its
`train.json` is put next to it, because people search, count and convert that file with other tools.
"""

import contextlib
import errno
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chmed_ner.data.archive import unpack
from chmed_ner.data.catalog import BASE_URL, CorpusFile, checksum, is_published, is_unpacked
from chmed_ner.errors import InputError, RunError

if TYPE_CHECKING:
    import requests

MAX_BYTES = 400_000_000
"""The most that is downloaded for a file of unknown size."""

_PIECE = 1 << 13  # bytes; less than a piece is lost where a connection is cut
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two pieces of the body
_PASSING = frozenset({408, 425, 429})  # besides 5xx: answers that another attempt may better
_log = logging.getLogger(__name__)

Status = Literal["present", "fetched", "unpacked", "replaced"]


@dataclass(frozen=True, slots=True)
class Server:
    """Where files come from: at most `attempts` requests a file, `pause` seconds apart, doubled."""

    base_url: str = BASE_URL
    attempts: int = 5
    pause: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file; `replaced` means that a wrong one is now called `NAME.old`."""

    path: Path
    status: Status


def fetch_file(file: CorpusFile, root: Path, server: Server) -> tuple[Outcome, ...]:
    """Bring `file` below `root`, and unpack it where it is an archive; what became of each name.

    A file that is there and intact is not asked for again; a wrong one is kept as `NAME.old`.
    InputError: no file at the address, wrong content, an archive that is refused, a folder that
    cannot be written; RunError: a lost network or a full disk.
    """
    target = root / file.path
    member = target.with_name(file.unpacked) if file.unpacked else None
    if is_published(file, root) and is_unpacked(file, root):
        return tuple(Outcome(name, "present") for name in (target, member) if name)
    with _sole_writer(target.parent):
        outcomes = [Outcome(target, "present")]
        if not is_published(file, root):  # another process may have brought it meanwhile
            _bring(file, target, server)
            outcomes = [Outcome(target, _put_in_place(target, "fetched"))]
        if member and is_unpacked(file, root):
            outcomes.append(Outcome(member, "present"))
        elif member:
            unpack(target, member.name, _part(member))
            outcomes.append(Outcome(member, _put_in_place(member, "unpacked")))
        return tuple(outcomes)


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


@contextlib.contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`, made if need be; the block's file errors become ours."""
    from filelock import FileLock, Timeout

    elsewhere = "choose another with --root or the environment variable CHMED_NER_DATA"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".fetch.lock")
        try:
            held = lock.acquire(timeout=1)
        except Timeout:
            _log.warning("another process is writing to %s; waiting for it", folder)
            held = lock.acquire()
        with held:
            yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(f"{folder}: the disk is full; make room, or {elsewhere}") from error
        raise InputError(
            f"{error.filename or folder}: cannot be written ({error.strerror or error}); make the "
            f"data directory writable, or {elsewhere}"
        ) from error


def _put_in_place(target: Path, status: Status) -> Status:
    """Give the part its name; another file of that name is kept as `NAME.old`."""
    with _part(target).open("rb") as stream:
        os.fsync(stream.fileno())
    replaced = target.exists()
    if replaced:
        target.replace(target.with_name(target.name + ".old"))
    _part(target).replace(target)
    return "replaced" if replaced else status


def _bring(file: CorpusFile, target: Path, server: Server) -> None:
    """Make the part of `target` the published file, or raise; a wrong part is removed."""
    url, part = file.url(server.base_url), _part(target)
    problem: str | None = None
    for attempt in range(server.attempts):
        if attempt:
            pause = server.pause * 2 ** (attempt - 1)
            _log.warning("%s: %s; trying again in %g s", url, problem, pause)
            time.sleep(pause)
        continued = part.exists()
        problem = _Continued(part, file.size or MAX_BYTES).ask(url)
        if problem is not None:
            continue
        found = checksum(part, file.algorithm)
        if found == file.checksum:
            return
        part.unlink(missing_ok=True)
        problem = "the beginning that was kept is not of this file"
        if not continued:
            raise InputError(
                f"{target}: wrong {file.algorithm}: expected {file.checksum}, found {found}, from "
                f"{url}. Nothing was put in place. Fetch again; if it stays so, that server does "
                "not have the published file: try another --base-url"
            )
    raise RunError(
        f"{url}: {problem} ({server.attempts} attempts). Check the network or --base-url and run "
        f"the same command again; {_size(part):,} bytes have arrived and are kept"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class _TooLongError(Exception):
    """More bytes have come than the file has."""


class _Continued:
    """Adds the rest of a file to `part`, which holds its beginning; pooch writes to it."""

    def __init__(self, part: Path, limit: int) -> None:
        self.part = part
        self.limit = limit
        self.offset = _size(part)

    def ask(self, url: str) -> str | None:
        """One request; None when the answer is complete, else what to try again for."""
        import requests
        from pooch import HTTPDownloader

        # Compressed on the way, the body's offsets would not be the file's.
        headers = {"Accept-Encoding": "identity"}
        if self.offset:
            headers["Range"] = f"bytes={self.offset}-"
        hooks = {"response": self.begin}
        download = HTTPDownloader(
            sys.stderr.isatty(), _PIECE, timeout=_TIMEOUT, headers=headers, hooks=hooks
        )
        try:
            download(url, self, None)
        except _TooLongError:
            return None  # the checksum refuses it
        except (ValueError, requests.TooManyRedirects) as error:  # ValueError: it is no address
            raise InputError(
                f"{url}: {error}; check --base-url, it is an address like {BASE_URL}"
            ) from error
        except requests.HTTPError as error:
            status = error.response.status_code
            if status == 416 and self.offset:
                return None  # nothing follows what is there: the checksum decides
            answer = f"the server answers {status} {error.response.reason}"
            if status >= 500 or status in _PASSING:
                return answer
            raise InputError(
                f"{url}: {answer}; check --base-url, below which a mirror has "
                "REPOSITORY/COMMIT/FILE"
            ) from error
        except (requests.RequestException, ConnectionError) as error:
            return _cause(error)
        return None

    def begin(self, response: "requests.Response", **_: Any) -> None:
        """Forget the beginning where the server sends anything but the rest."""
        rest = response.headers.get("Content-Range", "").startswith(f"bytes {self.offset}-")
        if response.status_code == 200 or (response.status_code == 206 and not rest):
            self.part.unlink(missing_ok=True)
        if response.status_code == 206 and not rest:
            raise ConnectionError("the server sent a range that was not asked for")

    def write(self, piece: bytes) -> None:
        """Add a piece of the answer; an endless one must not fill the disk."""
        with self.part.open("ab") as stream:
            stream.write(piece)
            if stream.tell() > self.limit:
                raise _TooLongError

    def flush(self) -> None:
        """Each piece is written at once."""


def _cause(error: BaseException) -> str:
    """The error at the root: those above it repeat the address and each other."""
    while error.__context__ is not None:
        error = error.__context__
    return f"no answer or a cut one ({type(error).__name__}: {error})"
