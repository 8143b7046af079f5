"""A trial on a few prompts: does a pass over tokens laid end to end compute what the model does?"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from chmed_ner.model.checkpoint.hardware import is_split
from chmed_ner.model.decoding.loop import fast_reading_in
from chmed_ner.model.kernels.attention_over_cache import asked_states
from chmed_ner.model.kernels.cache import SlotCache
from chmed_ner.model.kernels.head import Head
from chmed_ner.model.kernels.packing import pack
from chmed_ner.model.kernels.weights import Layouts

TOLERANCE = {True: 1e-3, False: 0.1}
"""By how much, relative to their norm, logits may differ from the model's: float32, or half."""

log = logging.getLogger(__name__)

KINDS = {"full_attention", "sliding_attention"}
"""The kinds of layers that are understood."""


def may_be_packed(model: Any) -> bool:
    """Does every layer attend through transformers' interface, in a way that is understood?

    Not if they are on several devices: the cache is on one.
    """
    if is_split(model):
        return False
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ())
    return getattr(type(model), "_supports_attention_backend", False) and kinds <= KINDS


def understood(model: Any, prompts: Sequence[Sequence[int]], layouts: Layouts) -> bool:
    """Does packing compute what `model` computes? Decided on a few short `prompts`.

    They are read as the loop reads them, with merged layers and fast products, which `layouts`
    keeps. Every layer must attend to all earlier columns or to the latest, through transformers'
    attention interface. The logits after each prompt must then be those of the model's own forward
    pass, though it is read in two parts; an architecture with something of its own in its attention
    or its head (sinks, biases) fails here.
    """
    if not may_be_packed(model):
        return False
    head, allowed = Head(model), TOLERANCE[model.dtype == torch.float32]
    with torch.inference_mode():
        rows = [torch.tensor([prompt], device=model.device) for prompt in prompts]
        expected = [model(row, use_cache=False).logits[0, -1].float() for row in rows]
        found: list[torch.Tensor] = []
        with misfit_told(model):
            found += head.logits(_in_two_parts(model, prompts, layouts)).float()
    return len(found) == len(expected) and all(
        float((one - two).norm()) <= allowed * float(two.norm())
        for one, two in zip(found, expected, strict=True)
    )


@contextmanager
def misfit_told(model: Any) -> Iterator[None]:
    """Leave the block, and log the reason, when `model` lacks what packing needs.

    Too little memory is no such reason, and is raised.
    """
    try:
        yield
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise
        log.warning("%s cannot read packed tokens (%s)", type(model).__name__, error)


def _in_two_parts(model: Any, prompts: Sequence[Sequence[int]], layouts: Layouts) -> torch.Tensor:
    """The states after the prompts, (n, H), each read but for its last tokens, then to its end."""
    longest = max(map(len, prompts))
    layers = model.config.get_text_config().num_hidden_layers
    cache = SlotCache(layers, len(prompts), longest, longest)
    states = torch.empty(0)
    firsts = [max(1, len(prompt) - 1 - at) for at, prompt in enumerate(prompts)]
    with fast_reading_in(model, layouts, head=False):
        for starts, ends in (([0] * len(prompts), firsts), (firsts, list(map(len, prompts)))):
            bounds = list(zip(starts, ends, strict=True))
            counts = [max(1, end - start) for start, end in bounds]
            starts = [end - count for (_, end), count in zip(bounds, counts, strict=True)]
            parts = zip(prompts, starts, counts, strict=True)
            tokens = [token for prompt, at, count in parts for token in prompt[at : at + count]]
            packing = pack(starts, counts, cache, model.device)
            states = asked_states(model, tokens, packing, cache)
    return states
