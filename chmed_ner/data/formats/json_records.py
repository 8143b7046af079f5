"""The objects of a JSON list, or of JSON lines, each with its line; and their keys, recognised."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from chmed_ner.data.formats.annotations import Options
from chmed_ner.errors import InputError
from chmed_ner.files import read_text

_GAP = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Record:
    """A JSON object of a file, and the line where it begins."""

    file: Path
    line: int
    values: Mapping[str, Any]

    def refuse(self, problem: str) -> NoReturn:
        """Raise InputError for this record; `problem` says what is wrong and the cure."""
        raise InputError(f"{self.file}, line {self.line}: {problem}")

    def get(self, key: str, kind: type) -> Any:
        """The text or list under `key`; InputError: there is none."""
        value = self.values.get(key)
        if not isinstance(value, kind):
            wanted = (
                "a text; add it" if kind is str else "a list; add it (dataset.gold=false: none)"
            )
            self.refuse(f"`{key}` must be {wanted}")
        return value

    def number(self, value: object) -> int:
        """An offset, which may be written as text; InputError: it is no whole number."""
        if not is_offset(value):
            self.refuse(f"offset {value!r:.40} of an entity is no whole number; correct it")
        return int(str(value))


def is_offset(value: object) -> bool:
    """Whether `value` is a whole number, or a text of one."""
    return not isinstance(value, bool) and re.fullmatch(r"-?\d{1,18}", str(value)) is not None


def read_records(path: Path) -> list[Record]:
    """The objects of a file; InputError: it is not JSON, holds something else, or is cut short."""
    text = read_text(path).rstrip()
    listed = text.lstrip().startswith("[")
    at, line, records = text.find("[") + 1 if listed else 0, 1, list[Record]()
    line += text.count("\n", 0, at)
    while True:
        begin = at + len(_GAP.match(text, at)[0])  # type: ignore[index]
        if begin == len(text) - listed and text[begin:] == "]" * listed:
            return records
        line += text.count("\n", at, begin)
        try:
            value, at = json.JSONDecoder().raw_decode(text, begin)
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", line)
            problem = f"not JSON ({error}); write a list of objects, or an object a line"
            raise InputError(f"{path}, line {line}: {problem}") from None
        if not isinstance(value, dict):
            raise InputError(f"{path}, line {line}: {value!r:.40} is not an object; correct it")
        records.append(Record(path, line, value))
        line += text.count("\n", begin, at)


def key_of(
    path: Path, options: Options, name: str, objects: Iterable[Mapping[str, Any]],
    pattern: str, holds: Callable[[Any], bool],
) -> str:  # fmt: skip
    """The key that the option `name` sets, or that holds such values: the first whose name fits,
    else the only one; InputError: there is neither."""
    found = {key: key for each in objects for key, value in each.items() if holds(value)}
    named = [key for key in found if re.search(pattern, key, re.IGNORECASE)]
    chosen = getattr(options, name) or next(iter(named or found), "")
    if not chosen or (len(found) > 1 and not named and not getattr(options, name)):
        keys = ", ".join({key: key for each in objects for key in each}) or "no keys"
        raise InputError(f"{path}: no {name} is recognised; set dataset.options.{name} ({keys})")
    return str(chosen)
