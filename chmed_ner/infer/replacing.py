"""A model that computes in another way within a block, and as before behind it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers import AttentionInterface

Forward = Callable[..., Any]


@contextmanager
def forwards_replaced(model: Any, replacement: Callable[[Any], Forward | None]) -> Iterator[int]:
    """Within the block modules have the forward pass that `replacement` gives; gives their number.

    A module for which it is None is left as it is.
    """
    replaced = []
    try:
        for module in model.modules():
            forward = replacement(module)
            if forward is not None:
                module.forward = forward
                replaced.append(module)
        yield len(replaced)
    finally:
        for module in replaced:
            del module.forward


@contextmanager
def attention_replaced(model: Any, name: str, attention: Forward) -> Iterator[None]:
    """Within the block `model` attends through `attention`, which transformers knows as `name`."""
    AttentionInterface.register(name, attention)
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
