"""What a regime is given to work with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chmed_ner.entities.grammar import Grammar
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Generator

if TYPE_CHECKING:
    from chmed_ner.prompt import TaskPrompt

Log = Callable[[Mapping[str, float], int], None]


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
    log: Log
    note: Callable[[Mapping[str, int]], None]
    grammar: Callable[[int], Grammar] = _no_grammar


def grammars(prompt: "TaskPrompt", model_texts: Sequence[str]) -> Callable[[int], Grammar]:
    """`Task.grammar` for the questions that `prompt` asks about `model_texts`."""

    def grammar(number: int) -> Grammar:
        return prompt.grammar(model_texts[number], in_order=False)

    return grammar
