"""One forward pass, with gradients, over the examples of a batch packed end to end.

The prefix that all prompts share comes first and is read once; behind it stand the examples' own
tokens, so that linear layers compute nothing but real tokens. Only attention knows the examples:
each of their tokens attends to the prefix and to the earlier tokens of its own example. The
attention function is registered with transformers under NAME.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from chmed_ner.model.decoding.trial import TOLERANCE, may_be_packed, misfit_told
from chmed_ner.model.kernels.attention import attend
from chmed_ner.model.kernels.replacing import attention_replaced
from chmed_ner.train.examples import Example
from chmed_ner.train.packing import Packed, pack
from chmed_ner.train.padded import padded_states

NAME = "chmed_ner_packed_examples"

TRIED = 3
"""Examples on which packing is tried."""


class _Unpack(torch.autograd.Function):
    """(N, ...) to (size, ...), token n at `places[n]`, zeros elsewhere; no place is used twice."""

    @staticmethod
    def forward(ctx: Any, tokens: torch.Tensor, places: torch.Tensor, size: int) -> torch.Tensor:
        ctx.save_for_backward(places)
        return tokens.new_zeros(size, *tokens.shape[1:]).index_copy_(0, places, tokens)

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> tuple[torch.Tensor, None, None]:
        return outer[0].index_select(0, ctx.saved_tensors[0]), None, None


class _Repack(torch.autograd.Function):
    """The inverse of `_Unpack`."""

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
    *,
    packed: Packed,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of packed tokens, queries (1, H, N, D), keys and values (1, h, N, D).

    Returns (1, N, H, D), as transformers' attention functions do.
    """
    if softcap is None:
        softcap = getattr(module, "attn_logit_softcapping", None)
    width = query.shape[-1]
    knobs = (width**-0.5 if scaling is None else scaling, softcap, dropout)
    if sliding_window is not None and sliding_window >= packed.shared + packed.width:
        sliding_window = None
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))  # (N, heads, D)
    shared, rows = packed.shared, packed.rows

    def padded(states: torch.Tensor) -> torch.Tensor:
        """The examples' own tokens, (B, T, heads, D)."""
        found: torch.Tensor = _Unpack.apply(states[shared:], packed.places, rows * packed.width)
        return found.view(rows, packed.width, *states.shape[1:])

    def whole(states: torch.Tensor) -> torch.Tensor:
        """The prefix before each example, (B, shared + T, heads, D)."""
        before = states[:shared].expand(rows, -1, -1, -1)
        return torch.cat((before, padded(states)), 1) if shared else padded(states)

    mask = packed.mask(sliding_window, q.dtype)
    own = attend(padded(q), whole(k), whole(v), mask, *knobs)
    own = _Repack.apply(own.reshape(-1, *own.shape[2:]), packed.places)
    if not shared:
        return own[None], None
    mask = packed.prefix_mask(sliding_window, q.dtype)
    prefix = attend(q[None, :shared], k[None, :shared], v[None, :shared], mask, *knobs)
    return torch.cat((prefix[0], own))[None], None


@contextmanager
def attention_over_examples_in(model: Any) -> Iterator[None]:
    """Within the block `model` attends through `attention_over_examples`; then as before."""
    with attention_replaced(model, NAME, attention_over_examples):
        yield


def packed_states(
    model: Any, batch: Sequence[Example], shared: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The hidden states before the answers' tokens, (A, H), and these tokens, (A,)."""
    packed = pack(batch, shared, model.device)
    with attention_over_examples_in(model):
        hidden: torch.Tensor = model.base_model(
            input_ids=packed.tokens[None],
            position_ids=packed.positions[None],
            use_cache=False,
            packed=packed,
        ).last_hidden_state[0]
    return hidden[packed.predicts], packed.targets


def packable(model: Any, examples: Sequence[Example], prefix: tuple[int, ...]) -> bool:
    """Does packing compute what `model` computes? Decided on the shortest of `examples`.

    Every layer must attend to all earlier tokens or to the latest, through transformers' attention
    interface; an architecture with something of its own in its attention fails the trial.
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
