"""The sentences that may be shown: training sentences, none of which is a test text."""

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from chmed_ner.entities.types import Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.files import write_json_lines

Record = TypeVar("Record")


def text_key(text: str) -> str:
    """What two texts share that are one sentence: letters and digits, width and case made equal.

    A text without any letter or digit is its own key.
    """
    kept = [c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum()]
    return "".join(kept) or text


@dataclass(frozen=True)
class Pool:
    """Candidates, no two of which are one sentence; their texts are what the model reads."""

    sentences: tuple[Sentence, ...]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The key of each candidate's text."""
        return tuple(text_key(sentence.model_text) for sentence in self.sentences)

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each candidate, by its id."""
        return {sentence.id: at for at, sentence in enumerate(self.sentences)}


def pool_of(train: Sequence[Sentence], test: Sequence[Sentence]) -> tuple[Pool, dict[str, int]]:
    """The pool of a training split, and how many candidates it has and what was left out.

    Left out are the sentences that are test sentences (`demonstration_leaks`; the corpus has
    dropped equal texts before, these differ from one in width, case, marks or script) and those
    that were met before (`demonstration_duplicates`).
    """
    tested = {text_key(sentence.model_text) for sentence in test}
    kept: dict[str, Sentence] = {}
    leaks = 0
    for sentence in train:
        key = text_key(sentence.model_text)
        if key in tested:
            leaks += 1
        else:
            kept.setdefault(key, sentence)
    counts = {
        "demonstration_candidates": len(kept),
        "demonstration_leaks": leaks,
        "demonstration_duplicates": len(train) - leaks - len(kept),
    }
    return Pool(tuple(kept.values())), counts


def write_pool(path: Path, pool: Pool) -> None:
    """Write the candidates, one JSON object a line: id, text (as the model reads it), entities."""
    write_json_lines(
        path,
        (
            {
                "id": sentence.id,
                "text": sentence.model_text,
                "entities": [[span.start, span.end, span.type] for span in sentence.entities],
            }
            for sentence in pool.sentences
        ),
    )


def read_pool(path: Path) -> Pool:
    """What `write_pool` wrote; InputError naming file and line for anything else."""
    return Pool(tuple(read_records(path, _candidate, "a candidate")))


def read_records(path: Path, read: Callable[[Any], Record], what: str) -> list[Record]:
    """What `read` makes of each line's JSON; InputError naming file and line that is not `what`."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); it holds what a few-shot run shows its "
            "model: restore it, or start a new run"
        ) from None
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(read(json.loads(line)))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise InputError(
                f"{path}, line {number}: not {what} ({error}); restore the file, or start a new run"
            ) from None
    return records


def _candidate(record: Any) -> Sentence:
    text = record["text"]
    entities = tuple(Span(start, end, type_) for start, end, type_ in record["entities"])
    if not isinstance(text, str) or any(not 0 <= e.start < e.end <= len(text) for e in entities):
        raise ValueError("an entity lies outside the text")
    return Sentence(record["id"], "train", "", text, None, entities, text)
