"""The completions of a run on disk: `completions.jsonl`, one JSON object a line."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from chmed_ner.entities import Completion
from chmed_ner.errors import InputError
from chmed_ner.files import cut_torn_line, json_line

_TYPES = {
    field.name: (float, int) if field.type is float else (field.type,)
    for field in fields(Completion)
} | {"logprobs": (list,)}
_USUAL = {each.name: each.default for each in fields(Completion) if each.default is not MISSING}
"""What is not written where it is so."""
_STOPS = ("end", "length", "refused")

log = logging.getLogger(__name__)


class CompletionStore:
    """The file `completions.jsonl` of a run, a batch appended at a time.

    An interruption leaves at most one unfinished line, which is cut off when it is opened again.
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
        lines = "".join(json_line(_record(completion)) for completion in completions)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(lines.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        self._found.update({(item.split, item.id): item for item in completions})


def _record(completion: Completion) -> dict[str, Any]:
    record = asdict(completion)
    return {name: value for name, value in record.items() if _USUAL.get(name) != value}


def read_completions(path: Path, *, repair: bool = False) -> list[Completion]:
    """The completions in a file, in the order they were written; InputError for a broken line.

    The unfinished last line of an interrupted run is ignored, and with `repair` cut off.
    """
    if not path.is_file():
        return []
    if repair:
        cut_torn_line(path)
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    completions = []
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], start=1):
        try:
            completions.append(_checked(json.loads(line.decode("utf-8"))))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}: not a completion ({error}); restore the file or start a "
                "new run"
            ) from None
    _report_conflicts(path, completions)
    return completions


def _report_conflicts(path: Path, completions: Sequence[Completion]) -> None:
    """Say so where a sentence has several answers that differ."""
    said: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for each in completions:
        said.setdefault((each.split, each.id), set()).add((each.prompt_sha256, each.text))
    twice = [id_ for (_, id_), answers in said.items() if len(answers) > 1]
    if twice:
        log.warning(
            "%s: %d sentences have answers that contradict each other, such as %s; the last counts",
            path,
            len(twice),
            twice[0],
        )


def _checked(record: Any) -> Completion:
    """The completion that a line's JSON holds; ValueError for anything else."""
    needed = [name for name in _TYPES if name not in _USUAL]
    if not isinstance(record, dict) or not set(needed) <= record.keys() <= _TYPES.keys():
        raise ValueError(f"it needs the keys {', '.join(needed)}")
    for name, value in record.items():
        if type(value) not in _TYPES[name]:
            raise ValueError(f"{name} is {value!r}")
    if record["stop"] not in _STOPS:
        raise ValueError(f"stop is {record['stop']!r}, not one of {', '.join(_STOPS)}")
    logprobs = record.pop("logprobs", [])
    if not all(map(_is_logprob, logprobs)):
        raise ValueError(f"logprobs is {logprobs!r}, not pairs of characters and a number")
    return Completion(**record, logprobs=tuple(map(tuple, logprobs)))


def _is_logprob(pair: Any) -> bool:
    return isinstance(pair, list) and list(map(type, pair)) == [int, float] and pair[1] <= 0
