"""Where things are on disk, and files that are never half written; checksums and locks."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.errors import Clean, InputError, without_noted

if TYPE_CHECKING:
    from filelock import BaseFileLock


PACKAGE = Path(__file__).resolve().parent


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
    """Runs and the tracking store: `outputs/` of the checkout, else the user's data directory."""
    root = checkout()
    return root / "outputs" if root else _user_data() / "outputs"


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
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    written = Path(name)
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with os.fdopen(handle, mode, **text) as file:
            yield Clean(file, without_noted) if text else file
        if not private:
            written.chmod(0o644)
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`, atomically."""
    with replacing(path, "wb") as file:
        file.write(content)


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


def read_json(path: Path) -> Any:
    """The value in a JSON file; InputError naming the file when it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
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


def files_sha256(files: Iterable[Path]) -> str:
    """The SHA-256 of the names and contents of files, in hexadecimal."""
    return text_sha256("".join(f"{file.name} {sha256_of(file)}\n" for file in files))


def text_sha256(text: str) -> str:
    """The SHA-256 of a text's UTF-8 bytes (lone surrogates as they are), in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_links(directory: Path) -> None:
    """InputError where a link in `directory` leads out of it: whoever made it is not trusted."""
    inside = directory.resolve()
    for folder, folders, files in os.walk(inside):
        for path in (Path(folder, name) for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise InputError(f"{path}: a link that leads out of the run; remove it")


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
