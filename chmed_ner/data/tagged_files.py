"""Scoring official-format files: a character, a space or tab, a tag; every character is data.

The organisers paste the prediction's tags beside the gold by row number. Here the two files must
hold the same characters in the same sentences, or nothing is scored.
"""

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from chmed_ner.data.lines import BYTE_ORDER_MARK, Line, lines, opened, shown
from chmed_ner.entities.bio import OUTSIDE, split_tag
from chmed_ner.errors import InputError

_SEPARATORS = (" ", "\t")
CURE = "a prediction must hold the gold file's characters, sentence by sentence, in the same order"


class Row(NamedTuple):
    """A line of a file: its number, its character, its tag."""

    line: int
    character: str
    tag: str


@dataclass(frozen=True, slots=True)
class _Columns:
    """A file's sentences, each at least one row, and how many separator lines it holds."""

    path: Path
    sentences: list[list[Row]]
    separators: int

    def tags(self) -> list[list[str]]:
        return [[row.tag for row in sentence] for sentence in self.sentences]


def tagged_sentences(path: Path) -> list[list[Row]]:
    """The sentences of an official-format file, each at least one row.

    Raises InputError as `score_files` does for a file that cannot be read as one.
    """
    return _read(path).sentences


def _read(path: Path) -> _Columns:
    sentences: list[list[Row]] = []
    rows: list[Row] = []
    tags: dict[str, str] = {}
    separators = 0
    with opened(path) as stream:
        for line in lines(stream, str(path)):
            if line.text not in ("", " "):
                rows.append(_row(line, tags))
                continue
            separators += 1
            if rows:
                sentences.append(rows)
                rows = []
    if rows:
        sentences.append(rows)
    if not sentences:
        raise InputError(f"{path}: holds no sentence; is this the right file, is it complete?")
    return _Columns(path, sentences, separators)


def _row(line: Line, known: dict[str, str]) -> Row:
    """The line's character and tag; `known` holds the tags met before, one object a spelling."""
    text = line.text
    if text[1:2] not in _SEPARATORS:
        if line.number == 1 and text.startswith(BYTE_ORDER_MARK):
            line.refuse_byte_order_mark()
        if any(separator in text for separator in _SEPARATORS):
            line.refuse(f"more than one character before the separator in {shown(text)}.")
        line.refuse(f"no tag in {shown(text)}; write a character, a space or tab, and a tag.")
    tag = text[2:].strip(" \t")
    found = known.get(tag)
    if found is None:
        _check_tag(line, tag)
        found = known.setdefault(tag, tag)
    cut = not line.ended and tag != OUTSIDE
    if cut and any(other != tag and other.startswith(tag) for other in known):
        line.refuse(f"tag {shown(tag)} is only the beginning of another tag of this file.")
    return Row(line.number, text[0], found)


def _check_tag(line: Line, tag: str) -> None:
    if not tag:
        line.refuse(f"no tag in {shown(line.text)}; write a character, a space or tab, and a tag.")
    if len(tag.split()) > 1:
        line.refuse(f"more than one tag in {shown(line.text)}; write one after one separator.")
    try:
        split_tag(tag)
    except InputError as error:
        line.refuse(f"{error}.")


def _check_same(gold: _Columns, predicted: _Columns) -> None:
    for number, (wanted, given) in enumerate(
        zip_longest(gold.sentences, predicted.sentences), start=1
    ):
        if given is None:
            raise InputError(
                f"{predicted.path}, line {predicted.sentences[-1][-1].line}: the last of "
                f"{number - 1} sentences ends, but {gold.path}, line {wanted[0].line} begins "
                f"sentence {number}; {CURE}"
            )
        if wanted is None:
            raise InputError(
                f"{predicted.path}, line {given[0].line}: begins sentence {number}, but the last "
                f"of {number - 1} sentences ends at {gold.path}, line "
                f"{gold.sentences[-1][-1].line}; {CURE}"
            )
        _check_sentence(number, gold.path, wanted, predicted.path, given)


def _check_sentence(
    number: int, gold_path: Path, gold: list[Row], predicted_path: Path, predicted: list[Row]
) -> None:
    for wanted, given in zip_longest(gold, predicted):
        if given is None:
            raise InputError(
                f"{predicted_path}, line {predicted[-1].line}: sentence {number} ends, but "
                f"{gold_path}, line {wanted.line} goes on with {wanted.character!r}; {CURE}"
            )
        if wanted is None:
            raise InputError(
                f"{predicted_path}, line {given.line}: sentence {number} goes on with "
                f"{given.character!r}, but ends at {gold_path}, line {gold[-1].line}; {CURE}"
            )
        if wanted.character != given.character:
            raise InputError(
                f"{predicted_path}, line {given.line}: {given.character!r}, but {gold_path}, "
                f"line {wanted.line} has {wanted.character!r}; {CURE}"
            )
