"""Linear layers whose weights are brought into oneDNN's layout once, not at every call.

On a CPU, oneDNN multiplies half-precision weights in a layout of its own, and a plain linear layer
brings its weights into it each time: with the few rows of a decoding step that takes longer than
the product. The layout costs a copy of the weights for as long as it is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from chmed_ner.model.kernels.replacing import forwards_replaced

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


@contextmanager
def fast_products_in(model: Any, layouts: Layouts, *, head: bool) -> Iterator[int]:
    """Within the block bfloat16 linear layers on a CPU are fast products; gives their number.

    A layer is replaced only where its results stay, bit for bit, the same on a trial. The output
    head, the largest of them, is left out without `head`. `layouts` keeps the products for the next
    block; weights must not change for as long as it is used.
    """
    spared = None if head else model.get_output_embeddings()

    def replacement(module: Any) -> Any:
        if module is spared or type(module) is not torch.nn.Linear or "forward" in vars(module):
            return None
        if module not in layouts:
            layouts[module] = fast_product([module])
        return layouts[module]

    with forwards_replaced(model, replacement) as count:
        yield count


def fast_product(modules: Sequence[Any]) -> FastProduct | None:
    """One product with the results of linear layers side by side.

    None where there is no such: another kind of layer, precision or device, or other results.
    """
    plain = [
        type(module) is torch.nn.Linear and "forward" not in vars(module) for module in modules
    ]
    if not all(plain):
        return None
    weights = [module.weight.detach() for module in modules]
    weight = torch.cat(weights) if len(weights) > 1 else weights[0].contiguous()
    biases = [module.bias.detach() for module in modules if module.bias is not None]
    if weight.dtype != torch.bfloat16 or weight.device.type != "cpu":
        return None
    if biases and len(biases) < len(modules):
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
