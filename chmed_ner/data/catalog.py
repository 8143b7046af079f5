"""The official corpora as `catalog.toml` describes them, and whether the files here are these."""

import hashlib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from chmed_ner.data.archive import same_content, trusted_member
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of

BASE_URL = "https://raw.githubusercontent.com"
"""Where repositories are read from; a mirror has `{repository}/{commit}/{file}` below its own."""

Algorithm = Literal["SHA-256", "git blob id"]


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One published file; its name is the same on disk and at the root of `repository`."""

    path: str
    repository: str
    commit: str
    checksum: str
    content: str
    algorithm: Algorithm = "SHA-256"
    size: int | None = None
    unpacked: str | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.rpartition("/")[2]

    def url(self, base_url: str = BASE_URL) -> str:
        """Where the file is read from below `base_url`."""
        where = f"{self.repository}/{self.commit}/{self.name}"
        return f"{base_url.rstrip('/')}/{quote(where)}"


@dataclass(frozen=True, slots=True)
class PublishedCorpus:
    """A corpus; `name` is that on the command line."""

    name: str
    title: str
    files: tuple[CorpusFile, ...]
    citation: str
    licence: str = (
        "none named in the repository; the overview papers make the data available for research. "
        "Do not pass the files on."
    )


def _corpora() -> Iterator[PublishedCorpus]:
    content = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    for corpus in content["corpus"]:
        place = {key: corpus.pop(key) for key in ("repository", "commit")}
        files = tuple(CorpusFile(**place, **file) for file in corpus.pop("files"))
        yield PublishedCorpus(files=files, **corpus)


CORPORA = tuple(_corpora())
"""Every corpus that can be fetched, in the order of publication."""


def altered_files(files: Mapping[str, str]) -> tuple[str, ...]:
    """Of files (SHA-256 by path below the data root), the official ones that are not as published.

    HealthNER's training part is not judged: its SHA-256 is published nowhere.
    """
    official = {
        file.path: file.checksum
        for corpus in CORPORA
        for file in corpus.files
        if file.algorithm == "SHA-256"
    }
    return tuple(name for name, found in files.items() if official.get(name, found) != found)


def named_corpora(names: Sequence[str]) -> tuple[PublishedCorpus, ...]:
    """The corpora of these names, in catalogue order; all for none. InputError: no such name."""
    known = [corpus.name for corpus in CORPORA]
    for name in names:
        if name not in known:
            near = get_close_matches(name.lower(), known, n=1)
            raise InputError(
                f"no corpus '{name}'"
                + (f"; did you mean '{near[0]}'?" if near else ";")
                + f" The corpora are: {', '.join(known)}"
            )
    return tuple(corpus for corpus in CORPORA if not names or corpus.name in names)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is on disk under one name; `unverified`: unpacked, but no archive proves it."""

    path: Path
    status: Literal["ok", "missing", "wrong", "unverified"]
    detail: str = ""


def checksum(path: Path, algorithm: Algorithm) -> str | None:
    """The checksum of `path` in hexadecimal, None: no such file; InputError: cannot be read."""
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
    """Whether `file` is below `root` and has its published checksum."""
    return checksum(root / file.path, file.algorithm) == file.checksum


def is_unpacked(file: CorpusFile, root: Path) -> bool:
    """Whether a file that is there has nothing left to unpack; InputError: a refused archive."""
    archive = root / file.path
    return not file.unpacked or same_content(
        archive.with_name(file.unpacked), trusted_member(archive, file.unpacked)
    )


def check_file(file: CorpusFile, root: Path) -> tuple[Finding, ...]:
    """Compare `file` with its checksum, and its unpacked member, if any, with the archive."""
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
        return archive, Finding(unpacked, "unverified", detail)
    if is_unpacked(file, root):
        return archive, Finding(unpacked, "ok", f"as in {file.name}")
    return archive, Finding(unpacked, "wrong", f"differs from the one in {file.name}")
