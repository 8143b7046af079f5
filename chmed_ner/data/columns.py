"""Official column files, read line by line: a character, one separator, a tag on each line.

Read by hand: `"` and `#` are ordinary characters here, and so is a space that has a tag.
Sentences are separated by an empty line (ROCLING-2023) or a line of one space (ROCLING-2022).
A corpus is held to its label scheme (`TagCheck`); a file to be scored may have whatever the
organisers' scorer reads (`ScorerTags`).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from chmed_ner.entities import OUTSIDE, LabelScheme, Sentence, chunks, split_tag
from chmed_ner.errors import InputError, not_utf8, other_encoding
from chmed_ner.files import without_mark

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


def lines(stream: IO[bytes], file: str) -> Iterator[Line]:
    """The lines of a UTF-8 stream, which end at LF or CRLF alone; `file` names it in errors.

    InputError: a line over 1 MiB, NUL bytes, invalid UTF-8 (encoded lone surrogates included).
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
        yield Line(file, number, text, ended)


_SEPARATORS = " \t"
BIO_TAG = re.compile(r"O|[BIOi]-\S+")
_FORMAT = "each line needs a character, one space or tab, and a tag such as O or B-DISE."


class TagCheck:
    """Accepts the tags of a scheme (None: any), and says what is wrong with others."""

    padding = ""
    """The characters around a tag that do not count."""

    def __init__(self, labels: LabelScheme | None) -> None:
        self.labels = labels
        self._accepted: dict[str, str] = {}

    def read(self, line: Line, tag: str) -> str:
        """`tag`, one object per spelling; InputError when it is not accepted."""
        known = self._accepted.get(tag)
        if known is None:
            if problem := self.problem(tag):
                line.refuse(problem)
            known = self._accepted.setdefault(tag, tag)
        return known

    def problem(self, tag: str) -> str | None:
        """Why `tag` is not accepted, and the cure; `i-X` and `O-X` occur in official gold."""
        if not BIO_TAG.fullmatch(tag):
            return f"invalid tag {shown(tag)}; write O, B-TYPE or I-TYPE after one separator."
        type_ = split_tag(tag)[1]
        if not type_ or self.labels is None or type_ in self.labels.tags:
            return None
        return (
            f"tag {shown(tag)}: type {shown(type_)} is not in the label scheme "
            f"'{self.labels.name}' ({', '.join(self.labels.tags)}); correct the tag, or add "
            "the type to the scheme."
        )

    def cut(self, tag: str) -> bool:
        """Whether `tag`, on a last line without line end, may have lost its end."""
        if tag == OUTSIDE or self.labels is not None:  # half a type of a scheme is refused already
            return False
        return any(known != tag and known.startswith(tag) for known in self._accepted)


class ScorerTags(TagCheck):
    """Accepts every tag that the organisers' scorer reads."""

    padding = _SEPARATORS

    def __init__(self) -> None:
        super().__init__(None)

    def problem(self, tag: str) -> str | None:
        """Why the scorer would break off at `tag`."""
        if len(tag.split()) > 1:
            return f"more than one tag in {shown(tag)}; write one after one separator."
        try:
            split_tag(tag)
        except InputError as error:
            return f"{error}."
        return None


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


def read_rows(path: Path, check: TagCheck) -> ColumnFile:
    """What a column file holds; InputError: a line breaks the format, or there is no sentence."""
    sentences: list[list[Row]] = [[]]
    separators = 0
    with opened(path) as stream:
        for each in lines(stream, str(path)):
            line = each if each.number > 1 else _begun(each, check)
            if line.text in ("", " "):
                separators += 1
                if sentences[-1]:
                    sentences.append([])
            else:
                sentences[-1].append(_row(line, check))
    if not sentences[-1]:
        sentences.pop()
    if not sentences:
        raise InputError(f"{path}: holds no sentence; is this the right file, is it complete?")
    return ColumnFile(path, sentences, separators)


def _begun(line: Line, check: TagCheck) -> Line:
    """A file's first line without a byte order mark; one that has a tag is a character."""
    separator, written = line.text[1:2], line.text[2:].strip(check.padding)
    if separator and separator in _SEPARATORS and written and not check.problem(written):
        return line
    return replace(line, text=without_mark(line.text, line.file))


def _row(line: Line, check: TagCheck) -> Row:
    character, separator, written = line.text[0], line.text[1:2], line.text[2:].strip(check.padding)
    tagged = separator != "" and separator in _SEPARATORS
    if not tagged:
        before, *rest = re.split(f"[{_SEPARATORS}]", line.text[1:], maxsplit=1)
        if rest:
            characters = shown(character + before)
            line.refuse(f"more than one character before the separator ({characters}); {_FORMAT}")
    if not tagged or not written:
        line.refuse(f"no tag in {shown(line.text)}; {_FORMAT}")
    tag = check.read(line, written)
    if not line.ended and check.cut(tag):
        line.refuse(f"tag {shown(tag)} is only the beginning of another tag of this file.")
    return Row(line.number, character, tag)


def read_columns(
    path: Path, *, prefix: str, split: str, genre: str, labels: LabelScheme | None
) -> tuple[Sentence, ...]:
    """The sentences of a column file, tags as they are; ids are `prefix` and five digits."""
    sentences = []
    for number, rows in enumerate(read_rows(path, TagCheck(labels)).sentences):
        tags = tuple(row.tag for row in rows)
        sentences.append(
            Sentence(
                id=f"{prefix}{number:05d}",
                split=split,
                genre=genre,
                text="".join(row.character for row in rows),
                tags=tags,
                entities=chunks(tags),
            )
        )
    return tuple(sentences)
