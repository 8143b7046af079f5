"""A model that computes in another way within a block, and as before after it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers import AttentionInterface

Forward = Callable[..., Any]


class Whole:
    """A forward pass that calls none of the modules within its own: they need no replacement."""


@contextmanager
def forwards_replaced(model: Any, replacement: Callable[[Any], Forward | None]) -> Iterator[int]:
    """Within the block modules have the forward pass that `replacement` gives; gives their number.

    A module for which it is None is left as it is, and so are one within a module whose forward
    pass is a `Whole`, and one to which accelerate moves its input from another device.
    """
    replaced = []
    try:
        for module in _called(model, set()):
            forward = None if hasattr(module, "_hf_hook") else replacement(module)
            if forward is not None:
                module.forward = forward
                replaced.append(module)
        yield len(replaced)
    finally:
        for module in replaced:
            del module.forward


def _called(module: Any, seen: set[int]) -> Iterator[Any]:
    """`module` and all within it that may be called, each once, outer ones first."""
    if id(module) in seen:
        return
    seen.add(id(module))
    yield module
    if not isinstance(vars(module).get("forward"), Whole):
        for child in module.children():
            yield from _called(child, seen)


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
