"""The hidden states before the tokens of the answers, with gradients; batches packed or padded.

A packed batch is one row of examples, nothing padded:

1. The tokens of the shared prefix come first and are read once; the examples' own tokens follow.
2. Linear layers and norms compute this one row: real tokens only.
3. Attention alone knows the examples: it unpacks the row to a padded batch (B, T), in which each
   token attends to the prefix and to the earlier tokens of its own example, and packs the result.

The attention function is registered with transformers under NAME.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from chmed_ner.model import attend, attention_replaced, causal_mask
from chmed_ner.train.recipe import WIDTH_STEP, Example

NAME = "chmed_ner_packed_examples"

IGNORED = -100
"""The label where no token is predicted."""

Masks = dict[tuple[int, int, int | None, torch.dtype], torch.Tensor]


@dataclass(frozen=True)
class PackedBatch:
    """N tokens of B examples in one row, the first `shared` of them the prefix of all.

    `places`: where the others are in the padded form (B, `width`), flattened; `predicts`: indices
    of the tokens whose next one is of an answer; `targets`: these next ones.
    """

    tokens: torch.Tensor  # (N,)
    positions: torch.Tensor  # (N,)
    places: torch.Tensor  # (N - shared,)
    predicts: torch.Tensor  # (A,)
    targets: torch.Tensor  # (A,)
    shared: int
    rows: int
    width: int
    masks: Masks = field(default_factory=dict)

    def unpacked(self, states: torch.Tensor) -> torch.Tensor:
        """The examples' own tokens of `states`, (N, ...), as a padded batch (B, T, ...)."""
        empty = states.new_zeros(self.rows * self.width, *states.shape[1:])
        own = empty.index_copy_(0, self.places, states[self.shared :])
        return own.view(self.rows, self.width, *states.shape[1:])

    def with_prefix(self, states: torch.Tensor) -> torch.Tensor:
        """The same with the prefix before each example, (B, shared + T, ...)."""
        own = self.unpacked(states)
        if not self.shared:
            return own
        return torch.cat((states[: self.shared].expand(self.rows, *[-1] * states.dim()), own), 1)

    def packed(self, padded: torch.Tensor) -> torch.Tensor:
        """The opposite of `unpacked`: (N - shared, ...) of (B, T, ...)."""
        found: torch.Tensor = _Pack.apply(padded.reshape(-1, *padded.shape[2:]), self.places)
        return found

    def mask(self, start: int, end: int, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """What is added to the scores of positions [start, end) on [0, end): 0 or -inf, causal.

        (1, 1, end - start, end). Padding comes after an example's tokens: causality hides it.
        """
        found = self.masks.get((start, end, window, dtype))
        if found is None:
            at = torch.arange(start, end, device=self.tokens.device)
            found = causal_mask(at, end, window, dtype)[None, None]
            self.masks[start, end, window, dtype] = found
        return found


class _Pack(torch.autograd.Function):
    """(B * T, ...) to (N, ...), token n from `places[n]`.

    No place is used twice, so the gradient is copied; index_select's own backward pass adds up.
    """

    @staticmethod
    def forward(ctx: Any, padded: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(places)
        ctx.size = len(padded)
        return padded.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> tuple[torch.Tensor, None]:
        (places,) = ctx.saved_tensors
        (tokens,) = outer
        padded = tokens.new_zeros(ctx.size, *tokens.shape[1:])
        return padded.index_copy_(0, places, tokens.contiguous()), None


def attention_over_examples(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,  # noqa: ARG001
    **given: Any,
) -> tuple[torch.Tensor, None]:
    """Attention (1, N, H, D) of packed queries (1, H, N, D) and keys, values (1, h, N, D)."""
    packed: PackedBatch = given["packed"]
    shared, total = packed.shared, packed.shared + packed.width
    scaling, softcap = given.get("scaling"), given.get("softcap")
    if scaling is None:
        scaling = query.shape[-1] ** -0.5
    if softcap is None:
        softcap = getattr(module, "attn_logit_softcapping", None)
    knobs = (scaling, softcap, given.get("dropout", 0.0))
    window = given.get("sliding_window")
    if window is not None and window >= total:
        window = None
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))  # (N, heads, D)
    mask = packed.mask(shared, total, window, q.dtype)
    own = attend(packed.unpacked(q), packed.with_prefix(k), packed.with_prefix(v), mask, *knobs)
    own = packed.packed(own)
    if not shared:
        return own[None], None
    mask = packed.mask(0, shared, window, q.dtype)
    prefix = attend(q[None, :shared], k[None, :shared], v[None, :shared], mask, *knobs)
    return torch.cat((prefix[0], own))[None], None


def packed_states(
    model: Any, batch: Sequence[Example], shared: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The hidden states before the answers' tokens, (A, H), and these tokens, (A,)."""
    packed = pack_batch(batch, shared, model.device)
    with attention_replaced(model, NAME, attention_over_examples):
        hidden: torch.Tensor = model.base_model(
            input_ids=packed.tokens[None],
            position_ids=packed.positions[None],
            use_cache=False,
            packed=packed,
        ).last_hidden_state[0]
    return hidden[packed.predicts], packed.targets


def pack_batch(batch: Sequence[Example], shared: int, device: Any) -> PackedBatch:
    """`batch`, whose prompts all begin with the same `shared` tokens, in one row."""
    tokens = list(batch[0].prompt[:shared])
    positions = list(range(shared))
    width = max(map(len, batch)) - shared
    places: list[int] = []
    predicts: list[int] = []
    targets: list[int] = []
    for row, example in enumerate(batch):
        own = (*example.prompt[shared:], *example.answer)
        first = len(tokens) + len(example.prompt) - shared - 1
        predicts += range(first, first + len(example.answer))
        targets += example.answer
        tokens += own
        positions += range(shared, shared + len(own))
        places += range(row * width, row * width + len(own))

    def tensor(numbers: list[int]) -> torch.Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=device)

    return PackedBatch(
        tokens=tensor(tokens),
        positions=tensor(positions),
        places=tensor(places),
        predicts=tensor(predicts),
        targets=tensor(targets),
        shared=shared,
        rows=len(batch),
        width=width,
    )


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
    """As `packed_states`, on the output head's device, which need not be the first layer's."""
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
