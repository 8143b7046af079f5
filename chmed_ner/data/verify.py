"""Whether the corpus files on disk are the published ones."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chmed_ner.data.archive import same_content, trusted_member
from chmed_ner.data.catalog import Algorithm, CorpusFile
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of


@dataclass(frozen=True, slots=True)
class Finding:
    """What is on disk under one name; `detail` says what is wrong.

    `unverified`: an unpacked file whose archive is missing or wrong, so that nothing proves it.
    """

    path: Path
    status: Literal["ok", "missing", "wrong", "unverified"]
    detail: str = ""


def checksum(path: Path, algorithm: Algorithm) -> str | None:
    """The checksum of `path` in hexadecimal, None when there is no such file.

    Raises InputError when the file cannot be read.
    """
    try:
        return sha256_of(path) if algorithm == "SHA-256" else _git_blob_id(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); change its permissions or move it away"
        ) from error


def _git_blob_id(path: Path) -> str:
    """The SHA-1 of `blob`, a space, the size, a zero byte and the content."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        return hashlib.file_digest(stream, lambda: digest).hexdigest()


def is_published(file: CorpusFile, root: Path) -> bool:
    """Whether `file` is below `root` and has its published checksum; InputError as `checksum`."""
    return checksum(root / file.path, file.algorithm) == file.checksum


def is_unpacked(file: CorpusFile, root: Path) -> bool:
    """Whether nothing is left to unpack: no archive, or its member is next to it unchanged.

    The archive must be there. Raises InputError when it is not to be trusted.
    """
    archive = root / file.path
    return not file.unpacked or same_content(
        archive.with_name(file.unpacked), trusted_member(archive, file.unpacked)
    )


def check_file(file: CorpusFile, root: Path) -> tuple[Finding, ...]:
    """Compare `file` below `root` with its checksum, and its unpacked member with the archive.

    An unpacked file that is absent is no finding: its archive serves as well. Raises InputError for
    a file that cannot be read.
    """
    target = root / file.path
    found = checksum(target, file.algorithm)
    if found is None:
        archive = Finding(target, "missing")
    elif found != file.checksum:
        detail = f"{file.algorithm} expected {file.checksum}, found {found}"
        archive = Finding(target, "wrong", detail)
    else:
        archive = Finding(target, "ok")
    if not file.unpacked or not (unpacked := target.with_name(file.unpacked)).exists():
        return (archive,)
    if archive.status != "ok":
        detail = f"nothing proves it without the published {file.name}"
        return (archive, Finding(unpacked, "unverified", detail))
    if is_unpacked(file, root):
        return (archive, Finding(unpacked, "ok", f"as in {file.name}"))
    return (archive, Finding(unpacked, "wrong", f"differs from the one in {file.name}"))
