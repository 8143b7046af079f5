"""Reading a text file by hand, line by line, with errors that name the file and the line."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from chmed_ner.errors import InputError

LONGEST_LINE = 1 << 20
"""Bytes; a longer line means that the file is something else."""

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its line end; `ended` is False where the file stops in mid-line."""

    file: str
    number: int
    text: str
    ended: bool = True

    def refuse(self, problem: str) -> NoReturn:
        """Raise InputError for this line; `problem` says what is wrong and the cure."""
        cut = (
            ""
            if self.ended
            else " The file ends within this line: if it was cut short, copy or fetch it again."
        )
        raise InputError(f"{self.file}, line {self.number}: {problem}{cut}")

    def refuse_byte_order_mark(self) -> NoReturn:
        """Raise InputError for a file that begins with a byte order mark."""
        self.refuse("the file begins with a byte order mark; save it as UTF-8 without BOM.")


def shown(value: str) -> str:
    """`value` quoted for an error message, shortened where it is long."""
    return repr(value if len(value) <= 40 else value[:40] + "...")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of `path`; InputError when it is missing, a folder, or may not be read."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; check the path, or run `chmed-ner data fetch`"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    with stream:
        yield stream


def lines(stream: IO[bytes], file: str) -> Iterator[Line]:
    """The lines of a UTF-8 stream with LF or CRLF ends, numbered from 1.

    `file` names the stream in errors. Raises InputError for a line longer than 1 MiB, NUL bytes and
    invalid UTF-8 (encoded lone surrogates included). Only LF ends a line: the other characters at
    which `str.splitlines` splits are data.
    """
    number = 0
    while raw := stream.readline(LONGEST_LINE + 1):
        number += 1
        ended = raw.endswith(b"\n")
        if len(raw) > LONGEST_LINE:
            Line(file, number, "").refuse("longer than 1 MiB; this is not a corpus file.")
        if b"\0" in raw:
            Line(file, number, "").refuse(
                "holds a NUL byte; the file is binary or UTF-16, save it as UTF-8 text."
            )
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            bad = raw[error.start : error.start + 4].hex(" ")
            Line(file, number, "", ended).refuse(
                f"not UTF-8 at byte {error.start + 1} ({bad}); save the file as UTF-8."
            )
        if ended:
            text = text[:-2] if text.endswith("\r\n") else text[:-1]
        yield Line(file, number, text, ended)
