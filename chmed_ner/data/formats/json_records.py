"""The objects of a JSON list, or of JSON lines, each with its line; and their keys, recognised."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from chmed_ner.data.columns import shown
from chmed_ner.data.formats.annotations import read_unicode
from chmed_ner.errors import InputError

_GAP = re.compile(r"[ \t\r\n,]*")


@dataclass(frozen=True, slots=True)
class Record:
    """A JSON object of a file, and the line where it begins."""

    file: Path
    line: int
    values: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its `id`, empty where it has none."""
        value = self.values.get("id")
        return str(value) if isinstance(value, str | int) else ""

    def refuse(self, problem: str) -> NoReturn:
        """Raise InputError for this record; `problem` says what is wrong and the cure."""
        raise InputError(f"{self.file}, line {self.line}: {problem}")

    def text(self, key: str) -> str:
        """The text under `key`; InputError: there is none."""
        value = self.values.get(key)
        if not isinstance(value, str):
            self.refuse(f"key `{key}` must hold the text; correct it, or set dataset.text_key")
        return value

    def number(self, value: object) -> int:
        """An offset, written as a whole number; InputError: something else."""
        plain = value if isinstance(value, str) else str(value)
        if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,18}", plain):
            self.refuse(f"offset {shown(plain)} of an entity is no whole number; correct it")
        return int(plain)


def read_records(path: Path) -> list[Record]:
    """The objects of a file; InputError: not JSON, no list of objects, cut short."""
    text = read_unicode(path)
    start = len(text) - len(text.lstrip())
    listed = text.startswith("[", start)
    records = []
    at, line, decoder = start + listed, 1 + text.count("\n", 0, start), json.JSONDecoder()
    while True:
        begin = _GAP.match(text, at).end()  # type: ignore[union-attr]
        line += text.count("\n", at, begin)
        if begin == len(text) and not listed:
            return records
        if listed and text.startswith("]", begin) and not text[begin + 1 :].strip():
            return records
        try:
            value, at = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", line)
            cut = "; the file may be cut short" if not text[begin:].strip() else ""
            raise InputError(
                f"{path}, line {line}: not JSON ({_words(error)}){cut}; give a list of "
                "objects, or one object a line"
            ) from None
        if not isinstance(value, dict):
            kind = type(value).__name__
            raise InputError(f"{path}, line {line}: a JSON {kind} where an object is needed")
        records.append(Record(path, line, value))
        line += text.count("\n", begin, at)


def _words(error: Exception) -> str:
    """What an error of the decoder says, without the place."""
    return str(error).partition(":")[0] or type(error).__name__


def recognised(
    objects: Iterable[Mapping[str, Any]], pattern: str, holds: Callable[[Any], bool]
) -> str | None:
    """The key that holds such values: the first whose name fits, else the only one; else None."""
    keys = list(dict.fromkeys(key for each in objects for key, value in each.items() if holds(value)))
    named = [key for key in keys if re.search(pattern, key, re.IGNORECASE)]
    return (named or (keys if len(keys) == 1 else [None]))[0]
