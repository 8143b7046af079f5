"""Laying the one member of a corpus archive that we want beside it, whole or not at all."""

import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from chmed_ner.errors import InputError

MAX_UNPACKED = 400_000_000
"""The most bytes that a member may take; HealthNER's `train.json` is a tenth of it."""


def trusted_member(archive: Path, name: str) -> zipfile.ZipInfo:
    """The only member of `archive` with the base name `name`.

    Raises InputError when there is not exactly one, and for a member with an absolute path or one
    that leads outside, a symbolic link, a packing we do not expect, or more than MAX_UNPACKED
    bytes. Its path is never used; but the published archive has no such member.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            named = [member for member in opened.infolist() if _parts(member)[-1:] == (name,)]
    except zipfile.BadZipFile as error:
        raise _refusal(archive, f"not a zip archive ({error})") from error
    # macOS puts a second, hidden tree into the archives it makes.
    members = [member for member in named if "__MACOSX" not in _parts(member)]
    if len(members) != 1:
        raise _refusal(archive, f"{len(members)} members are called {name}; one is expected")
    if reason := _reason_to_refuse(members[0]):
        raise _refusal(archive, f"the member '{members[0].filename}' {reason}")
    return members[0]


def same_content(path: Path, member: zipfile.ZipInfo) -> bool:
    """Whether `path` has the length and the CRC-32 that the archive states for `member`.

    False when there is no such file; InputError when it cannot be read.
    """
    crc = 0
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size != member.file_size:
                return False
            while chunk := stream.read(1 << 20):
                crc = zlib.crc32(chunk, crc)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); change its permissions or move it away"
        ) from error
    return crc == member.CRC


def unpack(archive: Path, name: str, destination: Path) -> None:
    """Write the member `name` of `archive` to `destination`; after an error there is no such file.

    Raises InputError for a member that is not trusted, and for a damaged one.
    """
    member = trusted_member(archive, name)
    try:
        # zipfile reads no more than the size that the member states, and checks its CRC-32.
        with (
            zipfile.ZipFile(archive) as opened,
            opened.open(member) as packed,
            destination.open("wb") as stream,
        ):
            shutil.copyfileobj(packed, stream)
            stream.flush()
            os.fsync(stream.fileno())
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        destination.unlink(missing_ok=True)
        raise _refusal(archive, f"{name} in it is damaged ({error})") from error


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
        f"{archive}: {reason}; nothing was unpacked. Remove the archive and fetch the published one"
    )
