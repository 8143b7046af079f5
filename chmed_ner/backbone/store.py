"""Completions on disk: append-only, one JSON object a line, a batch at a time."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from chmed_ner.entities.types import Completion
from chmed_ner.errors import InputError
from chmed_ner.files import json_line

_TYPES = {
    field.name: (float, int) if field.type is float else (field.type,)
    for field in fields(Completion)
}
_STOPS = ("end", "length", "refused")


class CompletionStore:
    """The file `completions.jsonl` of a run.

    A batch is appended with one write, flushed and synced, so an interruption leaves at most one
    unfinished line, which is cut off when the store is opened again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found = {(item.split, item.id): item for item in read_completions(path, repair=True)}

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Completion]:
        """Every stored completion, of all splits."""
        return iter(list(self._found.values()))

    def get(self, split: str, sentence_id: str) -> Completion | None:
        """The stored completion of a sentence, None if it was not asked yet."""
        return self._found.get((split, sentence_id))

    def clear(self) -> None:
        """Forget everything, on disk too."""
        self.path.unlink(missing_ok=True)
        self._found.clear()

    def append(self, completions: Sequence[Completion]) -> None:
        """Write a batch's completions; they are on disk when this returns."""
        lines = "".join(json_line(asdict(completion)) for completion in completions)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(lines.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        self._found.update({(item.split, item.id): item for item in completions})


def read_completions(path: Path, *, repair: bool = False) -> list[Completion]:
    """The completions in a file, in the order they were written.

    A last line without its end is what an interruption leaves: it is ignored, and with `repair` cut
    off. Any other broken line is an InputError naming file and line.
    """
    if not path.is_file():
        return []
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if repair and whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    completions = []
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], start=1):
        try:
            completions.append(_completion(json.loads(line.decode("utf-8"))))
        except ValueError as error:
            raise InputError(
                f"{path}, line {number}: not a completion ({error}); restore the file or start a "
                "new run"
            ) from None
    return completions


def _completion(record: Any) -> Completion:
    """The completion that a line's JSON holds; ValueError when it holds something else."""
    if not isinstance(record, dict) or record.keys() != _TYPES.keys():
        raise ValueError(f"it needs the keys {', '.join(_TYPES)}")
    for name, types in _TYPES.items():
        if type(record[name]) not in types:
            raise ValueError(f"{name} is {record[name]!r}")
    if record["stop"] not in _STOPS:
        raise ValueError(f"stop is {record['stop']!r}, not one of {', '.join(_STOPS)}")
    return Completion(**record)
