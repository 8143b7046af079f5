"""Where things are on disk, and files that are never half written; checksums and locks."""

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.errors import Clean, InputError, not_utf8, without_noted

if TYPE_CHECKING:
    from filelock import BaseFileLock

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).resolve().parent
OUTPUT: ContextVar[Path | None] = ContextVar("OUTPUT", default=None)  # --runs-in: where runs are


def checkout() -> Path | None:
    """The root of the checkout that holds this package; None when installed from a wheel."""
    root = PACKAGE.parent
    return root if (root / "conf" / "config.yaml").is_file() else None


def config_directory() -> Path:
    """The Hydra groups, `conf/`: in the checkout, or in the installed package."""
    return (checkout() or PACKAGE) / "conf"


def sweep_directory() -> Path:
    """The named grids, `experiments/`: in the checkout, or in the installed package."""
    return (checkout() or PACKAGE) / "experiments"


def data_directory() -> Path:
    """The corpora: `CHMED_NER_DATA`, else the user's data directory."""
    return _from_environment("CHMED_NER_DATA") or _user_data() / "corpora"


def cache_directory() -> Path:
    """Converted weights and API answers: `CHMED_NER_CACHE`, else the user's cache directory."""
    import platformdirs

    found = _from_environment("CHMED_NER_CACHE")
    return found or platformdirs.user_cache_path("chmed_ner", appauthor=False)


def output_directory() -> Path:
    """Runs and the tracking store: OUTPUT; else `outputs/` of the checkout, or the user's own."""
    return OUTPUT.get() or (checkout() or _user_data()) / "outputs"


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None


def _user_data() -> Path:
    import platformdirs

    return platformdirs.user_data_path("chmed_ner", appauthor=False)


@contextmanager
def replacing(path: Path, mode: str = "w", *, private: bool = False) -> Iterator[Any]:
    """A file (UTF-8 text without secrets, or bytes with `wb`) that replaces `path` at the end of
    the block; `private`: for its owner alone, in a folder of that kind.

    If the block fails, `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if private:
        path.parent.chmod(0o700)
    written = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with written.open(mode.replace("w", "x"), **text) as file:
            yield Clean(file, without_noted) if text else file
        keep(written, path, private=private)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def keep(written: Path, path: Path, *, private: bool = False) -> None:
    """Let `written`, a file or a folder, take the place of `path`: once it is on the disk, and as
    readable as the umask says, whoever wrote it (safetensors makes its files the user's own);
    `private`: for its owner alone."""
    mask = os.umask(0o077)
    os.umask(mask)
    mask |= 0o077 if private else 0
    for each in (written, *written.rglob("*")):
        folder = each.is_dir()
        with suppress(OSError):  # a link to another user's file, a file system without modes
            each.chmod((0o777 if folder else 0o666) & ~mask)
        if not folder:
            with each.open("rb") as file:
                os.fsync(file.fileno())
    written.replace(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`, atomically."""
    with replacing(path, "wb") as file:
        file.write(content)


def cut_torn_line(path: Path) -> None:
    """Cut off a last line without its end, which a killed process has left in an append-only file:
    what is appended next would be lost with it."""
    if not path.is_file():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def json_line(record: Mapping[str, Any]) -> str:
    """One JSON object on one line; what UTF-8 cannot hold (lone surrogates) is `\\u` escaped."""
    return _dumped(record) + "\n"


def _dumped(value: Any, indent: int | None = None) -> str:
    value = without_noted(value)
    written = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        written.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, indent=indent)
    return written


def write_json(path: Path, value: Any, *, private: bool = False) -> None:
    """Write `value` as indented JSON, atomically; lone surrogates as in `json_line`."""
    with replacing(path, private=private) as file:
        file.write(_dumped(value, indent=2) + "\n")


def write_json_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    with replacing(path) as file:
        file.writelines(map(json_line, records))


BYTE_ORDER_MARK = "\ufeff"


def without_mark(text: str, name: str) -> str:
    """`text`, the beginning of the file `name`, without a byte order mark; that it had one is
    logged, since offsets count from the text after it."""
    if not text.startswith(BYTE_ORDER_MARK):
        return text
    log.warning(
        "%s: begins with a byte order mark, which is left out: offsets begin after it", name
    )
    return text[1:]


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; InputError naming the file when it is missing or something else."""
    try:
        return without_mark(_bytes(path).decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {not_utf8(error)}") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_json(path: Path) -> Any:
    """The value in a JSON file; InputError naming the file when it is missing or broken."""
    try:
        return json.loads(_bytes(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> str:
    """A table of GitHub's Markdown, columns aligned `l` or `r`; cells must be escaped already."""
    rule = ["---:" if letter == "r" else "---" for letter in alignment]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rule, *rows))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of all files in a folder by their path in it; hidden files do not count."""
    files = sorted(file for file in folder.rglob("[!.]*") if file.is_file())
    with ThreadPoolExecutor() as pool:
        digests = pool.map(sha256_of, files)
    return {str(file.relative_to(folder)): each for file, each in zip(files, digests, strict=True)}


def text_sha256(text: str) -> str:
    """The SHA-256 of a text's UTF-8 bytes (lone surrogates as they are), in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


LOCK = "run.lock"
"""In the directory of a run that is going on, or whose process was killed."""
PATIENCE = 120.0
"""Seconds to wait for a lock that is held for moments only."""


def take(directory: Path) -> "BaseFileLock | None":
    """The lock of a run directory, now held; None when another process holds it."""
    import filelock

    lock = filelock.FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return None
    return lock


def let_go(lock: "BaseFileLock") -> None:
    """Free the lock and remove its file."""
    with suppress(OSError):  # whoever waits for the removed file notices and makes a new one
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


@contextmanager
def briefly(path: Path) -> Iterator[None]:
    """Hold the lock file `path` during the block; TimeoutError after PATIENCE."""
    import filelock

    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path, timeout=PATIENCE):
        yield
