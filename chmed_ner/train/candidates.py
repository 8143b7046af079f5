"""The tokens among which the softmax of `regime.candidate_softmax` chooses.

They are those that constrained decoding could allow anywhere in an answer to the example's
sentence, however the answer is cut into tokens: tokens of the sentence's pieces, of categories,
separators and stop strings, and the end tokens. Every example has its own, whatever batch it is in,
so that its loss depends neither on the batch's parts nor on the number of processes.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from chmed_ner.backbone.protocol import Task
from chmed_ner.errors import InputError
from chmed_ner.machine import progress
from chmed_ner.model.asking import Request
from chmed_ner.model.decoding.automaton import Place, State, TokenAutomaton
from chmed_ner.model.decoding.greedy import GreedyGenerator
from chmed_ner.model.kernels.head_loss import Candidates
from chmed_ner.train.examples import Encoded, Example

if TYPE_CHECKING:
    from chmed_ner.model.loaded import LoadedModel

log = logging.getLogger(__name__)


def with_candidates(encoded: Encoded, task: Task, loaded: "LoadedModel") -> tuple[Example, ...]:
    """The examples of `task` with their candidate tokens, those of the answer in any case.

    InputError where answers have no grammar, or `loaded`'s tokenizer cannot follow it.
    """
    began = time.perf_counter()
    generator = GreedyGenerator(loaded, batch_size=1, stop=task.stop)
    found = []
    with progress(len(encoded.examples), "candidate tokens", "sentence") as bar:
        for number, example in zip(encoded.sources, encoded.examples, strict=True):
            legal = answer_tokens(_automaton(generator, task, number))
            candidates = tuple(sorted(legal.union(example.answer)))
            found.append(replace(example, candidates=candidates))
            bar.update(1)
    log.info(
        "softmax over candidate tokens: %.0f a sentence, found in %.1f s",
        sum(len(example.candidates) for example in found) / len(found),
        time.perf_counter() - began,
    )
    return tuple(found)


def _automaton(generator: GreedyGenerator, task: Task, number: int) -> TokenAutomaton:
    """The automaton that would hold the decoding of pair `number` to its grammar."""
    request = Request(
        id=str(number),
        split="train",
        genre="",
        prompt=task.pairs[number][0],
        max_new_tokens=1,
        grammar=task.grammar(number).forgetful(),
    )
    try:
        (automaton,) = generator.automata([request])
    except InputError as error:
        raise InputError(
            "regime.candidate_softmax=true: candidates are what decoding=constrained could allow, "
            f"which refuses ({error}); use regime.candidate_softmax=false"
        ) from None
    assert automaton is not None, "a request with a grammar has one"
    return automaton


def answer_tokens(automaton: TokenAutomaton) -> set[int]:
    """Every token that some state of the automaton allows, end tokens included.

    The states' union is explored instead of each state: what may come next in it is what may come
    next in one of them.
    """
    everywhere = frozenset(_reachable(automaton))
    found = set(automaton.end_tokens)
    todo, seen = [automaton.start, State(automaton, everywhere, b"")], {b""}
    while todo:
        successors = automaton.explore(todo.pop())
        found.update(successors)
        for pending in {pending for _, pending in successors.values()} - seen:
            seen.add(pending)
            todo.append(State(automaton, everywhere, pending))
    return found


def _reachable(automaton: TokenAutomaton) -> list[Place]:
    """The places between the characters of all answers."""
    places: list[Place] = list(automaton.start.places)
    seen = set(places)
    for place in places:  # grows while it is read
        for after in automaton.moves(frozenset([place])).values():
            places += after - seen
            seen |= after
    return places


def candidates_of(batch: Sequence[Example], device: Any) -> Candidates | None:
    """The candidates of each answer token of `batch`, in order; None where the examples have none
    and the softmax is over all tokens."""
    if not any(example.candidates for example in batch):
        return None
    sizes = torch.tensor([len(example.candidates) for example in batch])
    rows = torch.repeat_interleave(torch.arange(len(batch)), sizes)
    every = torch.tensor([token for example in batch for token in example.candidates])
    tokens, columns = torch.unique(every, return_inverse=True)
    legal = torch.zeros(len(batch), len(tokens), dtype=torch.bool)
    legal[rows, columns] = True
    answers = torch.tensor([len(example.answer) for example in batch])
    return Candidates(tokens.to(device), legal.repeat_interleave(answers, dim=0).to(device))
