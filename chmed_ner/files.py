"""Reading and writing the files of a run: JSON that is never half written, checksums."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from chmed_ner.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text file that takes `path`'s place when the block ends well, and vanishes if it fails."""
    with _replacing(path) as handle, os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
        yield file


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`, atomically."""
    with _replacing(path) as handle, os.fdopen(handle, "wb") as file:
        file.write(content)


@contextmanager
def _replacing(path: Path) -> Iterator[int]:
    """The handle of a new file, to be closed in the block, that takes `path`'s place after it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        yield handle
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def json_line(record: Mapping[str, Any]) -> str:
    """One JSON object on one line; what UTF-8 cannot hold (lone surrogates) is `\\u` escaped."""
    return _dumped(record) + "\n"


def _dumped(value: Any, indent: int | None = None) -> str:
    written = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        written.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, indent=indent)
    return written


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; lone surrogates as in `json_line`."""
    with replacing(path) as file:
        file.write(_dumped(value, indent=2) + "\n")


def write_json_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    with replacing(path) as file:
        for record in records:
            file.write(json_line(record))


def read_json(path: Path) -> Any:
    """The value in a JSON file; InputError naming file and line when it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """The SHA-256 of a text's UTF-8 bytes (lone surrogates as they are), in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
