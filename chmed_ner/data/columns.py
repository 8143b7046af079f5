"""Official column files, read line by line: a character, one separator, a tag on each line.

Read by hand: `"` and `#` are ordinary characters here, and so is a space that has a tag.
Sentences are separated by an empty line (ROCLING-2023) or a line of one space (ROCLING-2022).
A corpus is held to its label scheme (`check_tags`); a file to be scored may have whatever the
organisers' scorer reads (`check_scorer_tags`).
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from chmed_ner.entities import OUTSIDE, LabelScheme, Sentence, chunks, split_tag
from chmed_ner.errors import InputError, not_utf8, other_encoding
from chmed_ner.files import BYTE_ORDER_MARK, without_mark

LONGEST_LINE = 1 << 20
"""Bytes; a longer line means that the file is something else."""

SAMPLE = 1 << 16
"""Bytes after a line that help to tell the encoding of a file."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its line end; `ended` is False where the file stops in mid-line."""

    file: str
    number: int
    text: str
    ended: bool = True

    def refuse(self, problem: str) -> NoReturn:
        """Raise InputError for this line; `problem` says what is wrong and the cure."""
        if not self.ended:
            problem += (
                " The file ends within this line: if it was cut short, copy or fetch it again."
            )
        raise InputError(f"{self.file}, line {self.number}: {problem}")


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


def lines(stream: IO[bytes], file: str, *, tagged: bool = False) -> Iterator[Line]:
    """The lines of a UTF-8 stream, which end at LF or CRLF alone; `file` names it in errors.

    A byte order mark is left out, but where lines are `tagged` and the first tag is its own: it is
    a character then. InputError: a line over 1 MiB, NUL bytes, invalid UTF-8 (encoded lone
    surrogates included).
    """
    number = 0
    while raw := stream.readline(LONGEST_LINE + 1):
        number += 1
        ended = raw.endswith(b"\n")
        if len(raw) > LONGEST_LINE:
            Line(file, number, "").refuse("longer than 1 MiB; this is not a corpus file.")
        if b"\0" in raw:
            cure = other_encoding(raw + stream.read(SAMPLE))
            Line(file, number, "").refuse(f"holds a NUL byte; {cure}.")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            Line(file, number, "", ended).refuse(f"{not_utf8(error, stream.read(SAMPLE))}.")
        if ended:
            text = text[:-2] if text.endswith("\r\n") else text[:-1]
        if number == 1 and not (tagged and _is_character(text)):
            text = without_mark(text, file)
        yield Line(file, number, text, ended)


SEPARATORS = " \t"
BIO_TAG = re.compile(r"O|[BIOi]-\S+")
_FORMAT = "each line needs a character, one space or tab, and a tag such as O or B-DISE."


def split_line(text: str, separators: str = SEPARATORS) -> tuple[str, str]:
    """A line's token, which is its first character, whatever that is, up to a separator; and what
    is after the separator, empty without one."""
    token, *rest = re.split(f"(?s)(?<=.)[{separators}]", text, maxsplit=1)
    return token, rest[0] if rest else ""


def _is_character(text: str) -> bool:
    """Whether a byte order mark at the beginning has the only tag of its line."""
    token, rest = split_line(text)
    return token == BYTE_ORDER_MARK and bool(rest.strip()) and not split_line(text[1:])[1].strip()


Met = Mapping[str, Line]
"""The tags of a file, each with the line that has it first."""


def check_tags(met: Met, labels: LabelScheme | None) -> None:
    """InputError for a tag that is not BIO, or not of the scheme (None: any); `i-X` and `O-X`
    occur in official gold."""
    for tag, line in met.items():
        if not BIO_TAG.fullmatch(tag):
            line.refuse(f"invalid tag {shown(tag)}; write O, B-TYPE or I-TYPE after one separator.")
        type_ = split_tag(tag)[1]
        if type_ and labels is not None and type_ not in labels.tags:
            line.refuse(
                f"tag {shown(tag)}: type {shown(type_)} is not in the label scheme "
                f"'{labels.name}' ({', '.join(labels.tags)}); correct the tag, or add the type to "
                "the scheme."
            )


def check_scorer_tags(met: Met) -> None:
    """InputError for a tag at which the organisers' scorer would break off."""
    for tag, line in met.items():
        if len(tag.split()) > 1:
            line.refuse(f"more than one tag in {shown(tag)}; write one after one separator.")
        try:
            split_tag(tag)
        except InputError as error:
            line.refuse(f"{error}.")


def check_last_tag(line: Line, tag: str, others: Iterable[str]) -> None:
    """InputError where `tag`, on a last line without line end, may have lost its end."""
    cut = not line.ended and tag != OUTSIDE
    if cut and any(each != tag and each.startswith(tag) for each in others):
        line.refuse(f"tag {shown(tag)} is only the beginning of another tag of this file.")


class Row(NamedTuple):
    """A line of a file: its number, its character, its tag."""

    line: int
    character: str
    tag: str


@dataclass(frozen=True, slots=True)
class ColumnFile:
    """A file's sentences, each at least one row, and how many separator lines it holds."""

    path: Path
    sentences: list[list[Row]]
    separators: int

    def tags(self) -> list[list[str]]:
        """The tags of each sentence."""
        return [[row.tag for row in rows] for rows in self.sentences]


def read_rows(path: Path, labels: LabelScheme | None = None, *, scored: bool = False) -> ColumnFile:
    """What a column file holds, with the tags of a scheme (None: any), or, to be `scored`, whatever
    the organisers' scorer reads; InputError: a line breaks the format, or there is no sentence."""
    sentences: list[list[Row]] = []
    separators = 0
    met: dict[str, Line] = {}
    with opened(path) as stream:
        read = lines(stream, str(path), tagged=True)
        for empty, some in groupby(read, lambda line: line.text in ("", " ")):
            if empty:
                separators += len(list(some))
                continue
            sentences.append([])
            for line in some:
                character, rest = split_line(line.text)
                tag = sys.intern(rest.strip(SEPARATORS) if scored else rest)
                if not tag:
                    line.refuse(f"no tag in {shown(line.text)}; {_FORMAT}")
                if len(character) > 1:
                    problem = f"more than one character before the separator ({shown(character)})"
                    line.refuse(f"{problem}; {_FORMAT}")
                met.setdefault(tag, line)
                sentences[-1].append(Row(line.number, character, tag))
    if not sentences:
        raise InputError(f"{path}: holds no sentence; is this the right file, is it complete?")
    if scored:
        check_scorer_tags(met)
    else:
        check_tags(met, labels)
    if labels is None:  # half a type of a scheme is refused already
        check_last_tag(line, tag, met)
    return ColumnFile(path, sentences, separators)


def read_columns(
    path: Path, *, prefix: str, split: str, genre: str, labels: LabelScheme | None
) -> tuple[Sentence, ...]:
    """The sentences of a column file, tags as they are; ids are `prefix` and five digits."""
    sentences = []
    for number, rows in enumerate(read_rows(path, labels).sentences):
        text, tags = "".join(row.character for row in rows), tuple(row.tag for row in rows)
        id_ = f"{prefix}{number:05d}"
        sentences.append(Sentence(id_, split, genre, text, tags, chunks(tags)))
    return tuple(sentences)
