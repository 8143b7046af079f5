"""Fetching corpora: never half a file, never a wrong one, under a corpus file's name.

A file arrives as `NAME.part`, which a later attempt continues where the server can (HTTP Range),
is compared with its published checksum and only then takes its name. Processes that fetch into the
same folder take turns by a file lock. (pooch is not used: it cannot continue a cut download.)

HealthNER's `train.zip` is kept, because its blob id is the only proof of origin there is, and its
`train.json` is laid beside it, because people search, count and convert that file with other tools.
Where both are there, the unpacked file is held against the archive by length and CRC-32.
"""

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from chmed_ner.data.catalog import BASE_URL, CorpusFile
from chmed_ner.data.unpack import unpack
from chmed_ner.data.verify import checksum, is_published, is_unpacked
from chmed_ner.errors import InputError, RunError

if TYPE_CHECKING:
    import requests

MAX_BYTES = 400_000_000
"""The most that is downloaded for a file of unknown size."""

_PIECE = 1 << 13  # bytes; less than a piece is lost where a connection is cut
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two pieces of the body
_PASSING = frozenset({408, 425, 429})  # besides 5xx: answers that another attempt may better
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """Where files come from: at most `attempts` requests a file, `pause` seconds apart, doubling.

    Raises InputError when `base_url` is not an http or https address.
    """

    base_url: str = BASE_URL
    attempts: int = 5
    pause: float = 1.0

    def __post_init__(self) -> None:
        """Refuse an address that no request can be sent to."""
        try:
            parts = urlsplit(self.base_url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # a broken bracket, a port out of range
            usable = False
        if not usable:
            raise InputError(
                f"--base-url '{self.base_url}' is not a web address; give one like {BASE_URL}"
            )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file; `replaced` means that a wrong one is now called `NAME.old`."""

    path: Path
    status: Literal["present", "fetched", "unpacked", "replaced"]


def fetch_file(file: CorpusFile, root: Path, server: Server | None = None) -> tuple[Outcome, ...]:
    """Bring `file` below `root`, and unpack it where it is an archive; what became of each name.

    A file that is there and intact is not asked for again, and its folder need not be writable. A
    file with a wrong checksum is kept as `NAME.old` when the right one takes its place. Raises
    InputError for an address that has no such file, for wrong content, for an archive that is
    refused and for a folder that cannot be written; RunError for a lost network or a full disk.
    """
    target = root / file.path
    if is_published(file, root) and is_unpacked(file, root):
        names = [target, target.with_name(file.unpacked)] if file.unpacked else [target]
        return tuple(Outcome(name, "present") for name in names)
    with _sole_writer(target.parent):
        outcomes = [Outcome(target, "present")]
        if not is_published(file, root):  # another process may have brought it meanwhile
            _bring(file, _part(target), target, server or Server())
            outcomes = [Outcome(target, _put_in_place(target, "fetched"))]
        if file.unpacked:
            outcomes.append(_lay_beside(file, root))
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


def _put_in_place(
    target: Path, status: Literal["fetched", "unpacked"]
) -> Literal["fetched", "unpacked", "replaced"]:
    """Give the part its name; what bore the name until now is kept as `NAME.old`."""
    replaced = target.exists()
    if replaced:
        target.replace(target.with_name(target.name + ".old"))
    _part(target).replace(target)
    return "replaced" if replaced else status


def _lay_beside(file: CorpusFile, root: Path) -> Outcome:
    archive = root / file.path
    target = archive.with_name(str(file.unpacked))
    if is_unpacked(file, root):
        return Outcome(target, "present")
    unpack(archive, target.name, _part(target))
    return Outcome(target, _put_in_place(target, "unpacked"))


def _bring(file: CorpusFile, part: Path, target: Path, server: Server) -> None:
    """Make `part` the published file, or remove it and raise InputError."""
    url = file.url(server.base_url)
    while True:
        left_over = part.exists()
        _download(url, part, file.size or MAX_BYTES, server)
        found = checksum(part, file.algorithm)
        if found == file.checksum:
            return
        part.unlink(missing_ok=True)
        if not left_over:  # else what an earlier attempt left was bad: once more from the start
            raise InputError(
                f"{target}: wrong {file.algorithm}: expected {file.checksum}, found {found}, from "
                f"{url}. Nothing was put in place. Fetch again; if it stays so, that server does "
                "not have the published file: try another --base-url"
            )


def _download(url: str, part: Path, limit: int, server: Server) -> None:
    """Ask for `url` until `part` holds the whole answer, continuing what is there."""
    for attempt in range(1, server.attempts + 1):
        problem = _request(url, part, limit)
        if problem is None:
            return
        if attempt < server.attempts:
            pause = server.pause * 2 ** (attempt - 1)
            _log.warning("%s: %s; trying again in %g s", url, problem, pause)
            time.sleep(pause)
    kept = part.stat().st_size if part.exists() else 0
    raise RunError(
        f"{url}: {problem} ({server.attempts} attempts). Check the network or --base-url and run "
        f"the same command again; {kept:,} bytes have arrived and are kept"
    )


def _request(url: str, part: Path, limit: int) -> str | None:
    """One request; None when the answer is complete, else what to try again for."""
    import requests

    offset = part.stat().st_size if part.exists() else 0
    # Compressed on the way, the body's offsets would not be the file's.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            status = response.status_code
            if status >= 500 or status in _PASSING:
                return f"the server answers {status} {response.reason}"
            if status == 416 and offset:
                return None  # nothing follows what is there: the checksum decides
            if status == 206 and not _continues(response, offset):
                part.unlink(missing_ok=True)
                return "the server sent a range that was not asked for"
            if status not in (200, 206):
                raise InputError(
                    f"{url}: the server answers {status} {response.reason}; check --base-url, "
                    "below which a mirror has REPOSITORY/COMMIT/FILE"
                )
            _store(response, part, offset if status == 206 else 0, limit)
            return None
    except (requests.exceptions.InvalidURL, requests.exceptions.TooManyRedirects) as error:
        raise InputError(f"{url}: {error}; check --base-url") from error
    except requests.RequestException as error:
        return _cause(error)


def _cause(error: BaseException) -> str:
    """The error at the root: those above it repeat the address and each other."""
    while error.__context__ is not None:
        error = error.__context__
    return f"no answer or a cut one ({type(error).__name__}: {error})"


def _continues(response: "requests.Response", offset: int) -> bool:
    span = response.headers.get("Content-Range", "")
    return span.startswith(f"bytes {offset}-") and "Content-Encoding" not in response.headers


def _store(response: "requests.Response", part: Path, offset: int, limit: int) -> None:
    """Write the body behind the first `offset` bytes of `part`; a byte over `limit` ends it."""
    from tqdm import tqdm

    length = int(response.headers.get("Content-Length") or 0)
    bar = tqdm(
        desc=part.stem,
        total=offset + length if length else None,
        initial=offset,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None,  # None: unless stderr is a terminal
    )
    with bar, part.open("ab" if offset else "wb") as stream:
        for chunk in response.iter_content(_PIECE):
            stream.write(chunk)
            bar.update(len(chunk))
            if stream.tell() > limit:
                break  # an endless answer must not fill the disk; the checksum refuses it
        stream.flush()
        os.fsync(stream.fileno())
