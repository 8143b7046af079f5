"""Linear layers whose weights are laid out for the processor once, not at every call.

On a CPU, oneDNN multiplies half-precision weights in a layout of its own, and a plain linear layer
brings its weights into it each time: with the few rows of a decoding step that takes longer than
the product. The layout costs a copy of the weights for as long as it is kept.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from chmed_ner.infer.replacing import forwards_replaced

TRIED = 3
"""Rows on which a layer is tried."""

ROWS = 32
"""Rows that the layout is chosen for; for 512 it is as fast on either."""

Layouts = dict[Any, Callable[..., torch.Tensor] | None]
"""Linear layers and their forward passes with prepacked weights, None where there is no such."""


@contextmanager
def prepacked_weights_in(model: Any, layouts: Layouts, *, head: bool) -> Iterator[int]:
    """Within the block bfloat16 linear layers on a CPU read prepacked weights; gives their number.

    A layer is replaced only where its results stay, bit for bit, the same on a trial. The output
    head, the largest of them, is left out without `head`. `layouts` keeps what was prepacked, for
    the next block; weights must not change for as long as it is used.
    """
    spared = None if head else model.get_output_embeddings()

    def prepacked(module: Any) -> Any:
        if module is spared or type(module) is not torch.nn.Linear or "forward" in vars(module):
            return None
        if module not in layouts:
            layouts[module] = _prepacked(module)
        return layouts[module]

    with forwards_replaced(model, prepacked) as count:
        yield count


def _prepacked(module: torch.nn.Linear) -> Callable[..., torch.Tensor] | None:
    """The forward pass of `module` with prepacked weights, or None where it is not to be had."""
    weight = module.weight.detach()
    if weight.dtype != torch.bfloat16 or weight.device.type != "cpu":
        return None
    bias = None if module.bias is None else module.bias.detach()
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS)
        forward = partial(_linear, weight=packed, bias=bias)
        trial = torch.linspace(-3, 5, TRIED * weight.shape[1]).sin().to(weight.dtype)
        trial = trial.view(TRIED, weight.shape[1])
        same = torch.equal(forward(trial), module(trial))
    except (RuntimeError, AttributeError):  # torch was built without oneDNN
        return None
    return forward if same else None


def _linear(
    states: torch.Tensor, *, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
    return product
