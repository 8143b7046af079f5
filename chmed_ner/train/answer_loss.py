"""The loss of a causal LM: mean cross-entropy over the tokens of the answers.

The output head (262,144 tokens: most of the arithmetic) sees only the states that predict these.
"""

import logging
from collections.abc import Sequence
from typing import Any

import torch

from chmed_ner.errors import InputError
from chmed_ner.model.decoding.trial import TOLERANCE, may_be_packed, misfit_told
from chmed_ner.model.kernels.head_loss import head_loss
from chmed_ner.train.candidates import candidates_of
from chmed_ner.train.examples import (
    WIDTH_STEP,
    Example,
    packed_parts_of,
    padded_parts_of,
    shared_prefix,
)
from chmed_ner.train.packed import packed_states
from chmed_ner.train.recipe import Recipe

log = logging.getLogger(__name__)

IGNORED = -100

TRIED = 3
"""Examples on which packing is tried."""


class AnswerLoss:
    """What tuning minimises, see `loop.Objective`; terms are the answers' tokens.

    The prefix that all prompts share is read once a part; batches are packed where `model`, a
    transformers causal LM with its adapters, allows it.
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
    """The mean loss of a batch, a scalar with gradient.

    `prefix` is read once for all rows: its states do not depend on what follows. `packed`, for a
    `packable` model, gives the same in less time.
    """
    if packed:
        states, targets = packed_states(model, batch, len(prefix))
    else:
        states, targets = padded_states(model, batch, prefix)
    return head_loss(model, states, targets, candidates_of(batch, states.device))


def padded(batch: Sequence[Example], skip: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and labels, both (B, T), padded on the right, without the first `skip` tokens.

    `labels[b, t]` is the token that position t must predict, or IGNORED.
    """
    width = -(-(max(map(len, batch)) - skip) // WIDTH_STEP) * WIDTH_STEP
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    labels = torch.full((len(batch), width), IGNORED, dtype=torch.long)
    for row, example in enumerate(batch):
        tokens = (*example.prompt[skip:], *example.answer)
        ids[row, : len(tokens)] = torch.tensor(tokens)
        begin = len(example.prompt) - skip - 1
        labels[row, begin : begin + len(example.answer)] = torch.tensor(example.answer)
    return ids.to(device), labels.to(device)


def padded_states(
    model: Any, batch: Sequence[Example], prefix: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The hidden states before the answers' tokens, (A, H), and these tokens, (A,).

    Both are on the output head's device, which may be another than the first layer's.
    """
    ids, labels = padded(batch, len(prefix), model.device)
    cache = None
    if prefix:
        from transformers import DynamicCache

        cache = DynamicCache(config=model.config)
        shared = torch.tensor([prefix], device=model.device)
        model.base_model(input_ids=shared, past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(len(batch))
    hidden = model.base_model(
        input_ids=ids, past_key_values=cache, use_cache=cache is not None
    ).last_hidden_state  # (B, T, H)
    place = model.get_output_embeddings().weight.device
    hidden, labels = hidden.to(place), labels.to(place)
    labelled = labels != IGNORED
    return hidden[labelled], labels[labelled]


def packable(model: Any, examples: Sequence[Example], prefix: tuple[int, ...]) -> bool:
    """Does packing compute what `model` computes? Tried on the shortest of `examples`.

    An architecture with something of its own in its attention fails the trial.
    """
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
