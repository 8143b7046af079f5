"""The loss of a causal LM: mean cross-entropy over the tokens of the answers.

The output head (262,144 tokens: most of the arithmetic) sees only the states that predict these.
With `regime.candidate_softmax` the softmax is over those tokens alone that constrained decoding
could allow anywhere in an answer to the example's sentence, however it is cut into tokens. Every
example has its own: its loss depends neither on the batch's parts nor on the number of processes.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from chmed_ner.backbone import Task
from chmed_ner.entities import Together
from chmed_ner.errors import InputError
from chmed_ner.machine import progress
from chmed_ner.model import (
    TOLERANCE,
    Candidates,
    GreedyGenerator,
    LoadedModel,
    Request,
    State,
    TokenAutomaton,
    head_loss,
    may_be_packed,
    misfit_told,
)
from chmed_ner.train.recipe import (
    Encoded,
    Example,
    Recipe,
    packed_parts_of,
    padded_parts_of,
    shared_prefix,
)
from chmed_ner.train.states import packed_states, padded_states

log = logging.getLogger(__name__)

TRIED = 3
"""Examples on which packing is tried."""


class AnswerLoss:
    """What tuning minimises, see `loop.Objective`; terms are the answers' tokens.

    The prefix of all prompts is read once a part: its states do not depend on what follows. Batches
    are packed where `model`, a transformers causal LM with its adapters, allows it.
    """

    def __init__(
        self,
        model: Any,
        examples: Sequence[Example],
        recipe: Recipe,
        *,
        activation_checkpointing: bool = False,
    ) -> None:
        self.model = model
        self.groups = [(list(model.parameters()), recipe.learning_rate)]
        self.tokens_at_once = recipe.tokens_at_once
        if activation_checkpointing:  # layers that are computed again take no cache
            _checkpoint_activations(model)
            self.prefix: tuple[int, ...] = ()
            self.packed = False
            return
        self.prefix = shared_prefix(examples)
        self.packed = packable(model, examples, self.prefix)
        if not self.packed:
            log.warning(
                "%s: batches cannot be packed with this model; they are padded, which is slower",
                type(model).__name__,
            )

    def parts(self, batch: Sequence[Example]) -> list[list[Example]]:
        """The batch in parts of at most `tokens_at_once` tokens."""
        if self.packed:
            return packed_parts_of(batch, self.tokens_at_once, len(self.prefix))
        return padded_parts_of(batch, self.tokens_at_once)

    def terms(self, batch: Sequence[Example]) -> int:
        """The tokens of the answers."""
        return sum(len(example.answer) for example in batch)

    def loss(self, part: Sequence[Example], terms: int) -> torch.Tensor:
        """The part's share of the mean loss over `terms` tokens."""
        loss = answer_loss(self.model, part, self.prefix, packed=self.packed)
        return loss * (self.terms(part) / terms)


def answer_loss(
    model: Any, batch: Sequence[Example], prefix: tuple[int, ...], *, packed: bool = False
) -> torch.Tensor:
    """The mean loss of a batch, a scalar with gradient; `packed`, if `packable`, is faster."""
    if packed:
        states, targets = packed_states(model, batch, len(prefix))
    else:
        states, targets = padded_states(model, batch, prefix)
    return head_loss(model, states, targets, candidates_of(batch, states.device))


def packable(model: Any, examples: Sequence[Example], prefix: tuple[int, ...]) -> bool:
    """Does packing compute what `model` computes? Tried on the shortest of `examples`."""
    if not may_be_packed(model):
        return False
    batch = sorted(examples, key=len)[:TRIED]
    training = model.training
    model.eval()
    found = None
    try:
        with torch.no_grad():
            expected = padded_states(model, batch, prefix)[0].float()
            with misfit_told(model):
                found = packed_states(model, batch, len(prefix))[0].float()
    finally:
        model.train(training)
    if found is None:
        return False
    allowed = TOLERANCE[model.dtype == torch.float32]
    return float((found - expected).norm()) <= allowed * float(expected.norm())


def _checkpoint_activations(model: Any) -> None:
    """Let layers forget their activations and compute them again in the backward pass."""
    try:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    except ValueError as error:
        raise InputError(
            f"regime.activation_checkpointing=true: {type(model).__name__} does not offer it "
            f"({error}); lower regime.tokens_at_once instead"
        ) from None


def with_candidates(encoded: Encoded, task: Task, loaded: LoadedModel) -> tuple[Example, ...]:
    """The examples with candidate tokens, the answer's too; InputError: no usable grammar."""
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
        grammar=Together(task.grammar(number).forgetful()),
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
    """Every token that some state of the automaton of a `Together` allows, end tokens included.

    One state, the union of all, is explored: what may follow it may follow one of them.
    """
    anywhere = cast("Together", automaton.grammar).everywhere()
    steps = automaton.steps(anywhere)
    within = {(text[at:], to) for text, to in steps for at in range(1, len(text))}
    everywhere = frozenset({("", anywhere), *within})
    found = set(automaton.end_tokens)
    todo, seen = [automaton.start, State(automaton, everywhere, b"")], {b""}
    while todo:
        successors = automaton.explore(todo.pop())
        found.update(successors)
        for pending in {pending for _, pending in successors.values()} - seen:
            seen.add(pending)
            todo.append(State(automaton, everywhere, pending))
    return found


def candidates_of(batch: Sequence[Example], device: Any) -> Candidates | None:
    """The candidates of each answer token of `batch`, in order; None: examples without them."""
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
