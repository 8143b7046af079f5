"""What a regime is given to work with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chmed_ner.entities.grammar import Grammar
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Generator

Log = Callable[[Mapping[str, float], int], None]
Note = Callable[[Mapping[str, int]], None]


def _nothing(*_: object) -> None:
    """Nobody listens."""


def _no_grammar(number: int) -> Grammar:  # noqa: ARG001
    raise InputError(
        "regime.candidate_softmax=true: the answers of this task have no grammar to take "
        "candidates from; use regime.candidate_softmax=false"
    )


@dataclass(frozen=True)
class Task:
    """What a regime may use: training pairs (prompt, answer), a judge of generators, a place.

    `dev_f1` scores a generator on the validation split (percent), None when that split is empty;
    `log` takes metrics of a step, `note` counts that belong into `run.json`. `grammar(n)` is what
    an answer to pair n may look like; InputError where the answer format has no grammar.
    """

    pairs: Sequence[tuple[str, str]]
    stop: Sequence[str]
    dev_f1: Callable[[Generator, int], float] | None
    directory: Path
    seed: int
    log: Log = _nothing
    note: Note = _nothing
    grammar: Callable[[int], Grammar] = _no_grammar
