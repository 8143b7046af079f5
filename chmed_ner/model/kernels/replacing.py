"""A model that computes in another way within a block, and as before after it.

Two replacements give, bit for bit, what the model's own modules give on a trial; a module for which
they do not is left as it is:

- Root-mean-square norms. transformers writes each as ten small operations, two fifths of all that a
  decoding step starts. Torch has one function for it, which is slower on a CPU.
- Linear layers in bfloat16 on a CPU. oneDNN multiplies weights in a layout of its own; a plain
  layer brings them into it at each call, which takes longer than the product with the few rows of a
  decoding step. Here that is done once, for a copy of the weights as long as it is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface

Forward = Callable[..., Any]


class Whole:
    """A forward pass that calls none of the modules within its own: they need no replacement."""


@contextmanager
def forwards_replaced(model: Any, replacement: Callable[[Any], Forward | None]) -> Iterator[int]:
    """Within the block modules have the forward pass that `replacement` gives; gives their number.

    Left as they are: those for which it is None, those within a module whose forward pass is a
    `Whole`, and those to which accelerate moves its input from another device.
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


def fused_norms_in(model: Any) -> AbstractContextManager[int]:
    """Within the block, in which weights must not change, norms are fused; gives their number."""
    return forwards_replaced(model, scale_of)


@dataclass(frozen=True)
class Scale:
    """A norm over the last dimension: `early` casts to the states' precision before it scales."""

    scale: torch.Tensor
    eps: float
    early: bool

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        wide = states.float()
        inverse = wide.square().mean(-1, keepdim=True).add_(self.eps).rsqrt_()
        normed = wide * inverse
        if self.early:
            return self.scale * normed.to(states.dtype)
        return normed.mul_(self.scale).to(states.dtype)


def scale_of(module: Any) -> Scale | None:
    """The norm with the results of `module`, None where it is no such norm."""
    weight = getattr(module, "weight", None)
    eps = getattr(module, "eps", getattr(module, "variance_epsilon", None))
    named = type(module).__name__.endswith("RMSNorm")
    if not named or eps is None or weight is None or weight.ndim != 1:
        return None
    trial = torch.linspace(-3, 5, 3 * len(weight), device=weight.device).sin()
    trial = (7 * trial).to(weight.dtype).view(3, len(weight))
    with torch.no_grad():
        expected = module(trial)
        weight = weight.detach()
        # weights or their distance from 1, cast last; weights, cast before
        scales = ((weight.float(), False), (1.0 + weight.float(), False), (weight, True))
        norms = (Scale(scale, float(eps), early) for scale, early in scales)
        return next((norm for norm in norms if torch.equal(norm(trial), expected)), None)


TRIED = 3
"""Rows on which a layer is tried."""

ROWS = 32
"""Rows that the layout is chosen for; for 512 it is as fast on either."""

Layouts = dict[Any, Callable[..., torch.Tensor] | None]
"""Modules and their fast forward passes, None where a module has none."""

Activation = tuple[str, str]
"""oneDNN's name of a function applied to each product, and of the algorithm it is computed by."""


@dataclass(frozen=True)
class FastProduct:
    """A linear layer with its weights in oneDNN's layout: states (N, in) to (N, out)."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __call__(self, states: torch.Tensor, activation: Activation = ("none", "")) -> torch.Tensor:
        """The product; with `activation`, its value before it is rounded."""
        name, algorithm = activation
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            states, self.weight, self.bias, name, [], algorithm
        )
        return product

    def times(self, states: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        """The product times `factor`, (N, out), each element before it is rounded."""
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            states, factor, self.weight, self.bias, "mul"
        )
        return product


def fast_products_in(model: Any, layouts: Layouts, *, head: bool) -> AbstractContextManager[int]:
    """Within the block bfloat16 linear layers on a CPU are fast products; gives their number.

    The output head is one of them only with `head`. `layouts` keeps the products for the next
    block; weights must not change for as long as it is used.
    """
    spared = None if head else model.get_output_embeddings()

    def replacement(module: Any) -> Any:
        if module is spared or type(module) is not torch.nn.Linear or "forward" in vars(module):
            return None
        if module not in layouts:
            layouts[module] = fast_product([module])
        return layouts[module]

    return forwards_replaced(model, replacement)


def fast_product(modules: Sequence[Any]) -> FastProduct | None:
    """One product with the results of linear layers side by side, None where there is none."""
    if any(type(each) is not torch.nn.Linear or "forward" in vars(each) for each in modules):
        return None
    weights = [module.weight.detach() for module in modules]
    weight = torch.cat(weights) if len(weights) > 1 else weights[0].contiguous()
    biases = [module.bias.detach() for module in modules if module.bias is not None]
    some_biased = biases and len(biases) < len(modules)
    if weight.dtype != torch.bfloat16 or weight.device.type != "cpu" or some_biased:
        return None
    try:
        laid_out = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)
        product = FastProduct(laid_out, torch.cat(biases) if biases else None)
        trial = torch.linspace(-3, 5, TRIED * weight.shape[1]).sin().to(weight.dtype)
        trial = trial.view(TRIED, weight.shape[1])
        expected = torch.cat([module(trial) for module in modules], -1)
        return product if torch.equal(product(trial), expected) else None
    except (RuntimeError, AttributeError):  # torch was built without oneDNN
        return None
