"""Official column files: a character, one separator, a tag on each line.

Read by hand: `"` and `#` are ordinary characters here, and so is a space with a tag behind it.
Sentences are separated by an empty line (ROCLING-2023) or a line of one space (ROCLING-2022).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from chmed_ner.data.lines import BYTE_ORDER_MARK, Line, lines, opened, shown
from chmed_ner.entities.bio import chunks, split_tag
from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.types import Sentence
from chmed_ner.errors import InputError
from chmed_ner.files import replacing

_SEPARATORS = " \t"
_SENTENCE_ENDS = ("", " ")
_TAG = re.compile(r"O|[BIOi]-\S+")
_FORMAT = "each line needs a character, one space or tab, and a tag such as O or B-DISE."
_UNWRITABLE = re.compile("[\n\0\ud800-\udfff]")


class TagCheck:
    """Accepts the tags of a scheme (any scheme when `labels` is None), says what is wrong else."""

    def __init__(self, labels: LabelScheme | None) -> None:
        self.labels = labels
        self.accepted: dict[str, str] = {}

    def tag(self, tag: str) -> str | None:
        """`tag`, as one object per spelling; None when it is not accepted."""
        known = self.accepted.get(tag)
        if known is None and self._valid(tag):
            known = self.accepted.setdefault(tag, tag)
        return known

    def _valid(self, tag: str) -> bool:
        """`i-X` and `O-X` occur in official gold and are kept as they are."""
        if not _TAG.fullmatch(tag):
            return False
        type_ = split_tag(tag)[1]
        return not type_ or self.labels is None or type_ in self.labels.tags

    def problem(self, tag: str) -> str:
        """Why `tag` is not accepted, and the cure."""
        if self.labels is not None and _TAG.fullmatch(tag):
            return (
                f"tag {shown(tag)}: type {shown(split_tag(tag)[1])} is not in the label scheme "
                f"'{self.labels.name}' ({', '.join(self.labels.tags)}); correct the tag, or add "
                "the type to the scheme."
            )
        return f"invalid tag {shown(tag)}; write O, B-TYPE or I-TYPE after one separator."


def read_columns(
    path: Path,
    *,
    prefix: str,
    split: str,
    genre: str,
    labels: LabelScheme | None,
    tagged: bool = True,
) -> tuple[Sentence, ...]:
    """The sentences of a column file, tags exactly as they are; ids are `prefix` and five digits.

    `labels=None` accepts any type; `tagged=False` reads a test file, one character a line. Raises
    InputError naming file, line, value and cure for whatever breaks the format, and for a file
    without a sentence.
    """
    sentences: list[Sentence] = []
    with opened(path) as stream:
        for number, rows in enumerate(_blocks(_rows(lines(stream, str(path)), labels, tagged))):
            tags = tuple(tag for _, tag in rows)
            sentences.append(
                Sentence(
                    id=f"{prefix}{number:05d}",
                    split=split,
                    genre=genre,
                    text="".join(character for character, _ in rows),
                    tags=tags if tagged else None,
                    entities=chunks(tags) if tagged else (),
                )
            )
    if not sentences:
        raise InputError(f"{path}: holds no sentence; is this the right file, is it complete?")
    return tuple(sentences)


def _rows(
    found: Iterable[Line], labels: LabelScheme | None, tagged: bool
) -> Iterator[tuple[str, str] | None]:
    """A character and its tag for each line, None where a sentence ends."""
    check = TagCheck(labels)
    for line in found:
        if line.number == 1 and line.text.startswith(BYTE_ORDER_MARK):
            _refuse_mark(line, check, tagged)
        if line.text in _SENTENCE_ENDS:
            yield None
        elif tagged:
            yield _tagged(line, check)
        elif len(line.text) == 1:
            yield line.text, ""
        else:
            line.refuse(f"{shown(line.text)}: a file without tags has one character a line.")


def _refuse_mark(line: Line, check: TagCheck, tagged: bool) -> None:
    """A U+FEFF with a tag of its own is a character; any other at the start is a BOM."""
    if not (tagged and line.text[1:2] in tuple(_SEPARATORS) and check.tag(line.text[2:])):
        line.refuse_byte_order_mark()


def _tagged(line: Line, check: TagCheck) -> tuple[str, str]:
    text = line.text
    if text[1:2] not in tuple(_SEPARATORS):
        before = re.split(f"[{_SEPARATORS}]", text[1:], maxsplit=1)
        if len(before) == 1:
            line.refuse(f"no tag in {shown(text)}; {_FORMAT}")
        characters = shown(text[: 1 + len(before[0])])
        line.refuse(f"more than one character before the separator ({characters}); {_FORMAT}")
    written = text[2:]
    if not written:
        line.refuse(f"no tag in {shown(text)}; {_FORMAT}")
    tag = check.tag(written)
    if tag is None:
        line.refuse(check.problem(written))
    if not line.ended and _cut(tag, check):
        line.refuse(f"tag {shown(tag)} is only the beginning of another tag of this file.")
    return text[0], tag


def _cut(tag: str, check: TagCheck) -> bool:
    """Whether a last line without line end may have lost the end of its tag.

    With a label scheme, half a type has been refused already.
    """
    if tag == "O" or check.labels is not None:
        return False
    return any(known != tag and known.startswith(tag) for known in check.accepted)


def _blocks(rows: Iterable[tuple[str, str] | None]) -> Iterator[list[tuple[str, str]]]:
    """The rows of one sentence after the other; several separators in a row count as one."""
    block: list[tuple[str, str]] = []
    for row in rows:
        if row is not None:
            block.append(row)
        elif block:
            yield block
            block = []
    if block:
        yield block


def write_columns(path: Path, rows: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Write sentences (text, tags) in the official format, atomically.

    Character, space, tag, LF; an empty line after each sentence. Raises InputError for text that
    the format cannot hold (empty, a line feed, NUL, a lone surrogate), ValueError when text and
    tags differ in length or a tag is none.
    """
    with replacing(path) as file:
        for number, (text, tags) in enumerate(rows):
            bad = _UNWRITABLE.search(text)
            if bad or not text:
                held = f"the character {shown(bad.group())}" if bad else "no character"
                raise InputError(
                    f"{path}: sentence {number} ({shown(text)}) holds {held}, which a column file "
                    "cannot; correct the text"
                )
            for character, tag in zip(text, tags, strict=True):
                if not _TAG.fullmatch(tag):
                    raise ValueError(f"{path}: sentence {number}: {shown(tag)} is not a BIO tag")
                file.write(f"{character} {tag}\n")
            file.write("\n")
