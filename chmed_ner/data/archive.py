"""The one file that we want of a corpus archive: found, read, unpacked, compared."""

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from chmed_ner.data.columns import opened, shown
from chmed_ner.errors import InputError

MAX_UNPACKED = 400_000_000
"""The most bytes that a member may take; HealthNER's `train.json` is a tenth of it."""

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)


def trusted_member(archive: Path, name: str) -> zipfile.ZipInfo:
    """The only member of `archive` with the base name `name`.

    InputError: not exactly one, or one that the published archive would not have: a path that leads
    outside, a symbolic link, another packing, more than MAX_UNPACKED bytes.
    """
    try:
        with opened(archive) as stream, zipfile.ZipFile(stream) as packed:
            files = [member for member in packed.infolist() if not member.is_dir()]
    except _BROKEN as error:
        raise _refusal(archive, f"not a readable zip file ({error})") from error
    named = [member for member in files if _parts(member)[-1:] == (name,)]
    # macOS puts a second, hidden tree into the archives it makes.
    members = [member for member in named if "__MACOSX" not in _parts(member)]
    if len(members) != 1:
        listed = ", ".join(shown(member.filename) for member in files[:10]) or "nothing"
        held = f"{len(members)} files named {name}" if members else f"no {name}"
        raise _refusal(archive, f"holds {held} (it holds {listed})")
    if reason := _reason_to_refuse(members[0]):
        raise _refusal(archive, f"the member '{members[0].filename}' {reason}")
    return members[0]


@contextmanager
def opened_member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    """The content of the member `name`; InputError for one that is not trusted, or damaged."""
    member = trusted_member(archive, name)
    try:
        # zipfile reads no more than the size that the member states, and checks its CRC-32.
        with zipfile.ZipFile(archive) as packed, packed.open(member) as stream:
            yield stream
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _refusal(archive, f"{name} in it is damaged ({error})") from error


def unpack(archive: Path, name: str, destination: Path) -> None:
    """Write the member `name` to `destination`; after an InputError there is no such file."""
    try:
        with opened_member(archive, name) as packed, destination.open("wb") as stream:
            shutil.copyfileobj(packed, stream)
    except InputError:
        destination.unlink(missing_ok=True)
        raise


def same_content(path: Path, member: zipfile.ZipInfo) -> bool:
    """Whether `path` is there, with the length and CRC-32 of `member`; InputError: unreadable."""
    if not path.exists():
        return False
    crc = 0
    with opened(path) as stream:
        if os.fstat(stream.fileno()).st_size != member.file_size:
            return False
        while chunk := stream.read(1 << 20):
            crc = zlib.crc32(chunk, crc)
    return crc == member.CRC


def _parts(member: zipfile.ZipInfo) -> tuple[str, ...]:
    return PurePosixPath(member.filename.replace("\\", "/")).parts


def _reason_to_refuse(member: zipfile.ZipInfo) -> str | None:
    parts = _parts(member)
    if parts[0] == "/" or ".." in parts or ":" in member.filename:
        return "points outside the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a symbolic link"
    if member.flag_bits & 1:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is packed by method {member.compress_type}, not stored or deflated"
    if member.file_size > MAX_UNPACKED:
        return f"would take {member.file_size:,} bytes; {MAX_UNPACKED:,} are allowed"
    return None


def _refusal(archive: Path, reason: str) -> InputError:
    return InputError(
        f"{archive}: {reason}; nothing was unpacked. Remove the archive and fetch the published "
        "one (`chmed-ner data fetch`)"
    )
