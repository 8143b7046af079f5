"""LoRA layers and frozen norms in fewer passes over the activations, with gradients.

PEFT casts the input of every adapted layer to the adapter's float32, multiplies there, and casts
the sum back: on a processor these passes cost more than the adapter's arithmetic. Here an adapter
is multiplied in the layer's own precision and added in the same product; its weights, and what the
optimiser does to them, stay in float32 (Micikevicius et al. 2018). For N tokens and rank r:

1. the frozen layer's product, (N, out);
2. the tokens brought to the adapter's rank, (N, r);
3. their product with the second matrix, added to the first in place, (N, out).
"""

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.nn import functional

from chmed_ner.model.kernels.replacing import Forward, forwards_replaced, scale_of


class _Adapted(torch.autograd.Function):
    """`base + scaling * x A^T B^T`, for x (N, in), A (r, in), B (out, r), base (N, out).

    It takes the place of `base`, a frozen product, whose result no gradient needs.
    """

    @staticmethod
    def forward(
        ctx: Any,
        base: torch.Tensor,
        x: torch.Tensor,
        down: torch.Tensor,
        up: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        narrow_down, narrow_up = down.to(x.dtype), up.to(x.dtype)
        inner = x @ narrow_down.T  # 2. (N, r)
        ctx.save_for_backward(x, inner, narrow_down, narrow_up)
        ctx.scaling, ctx.dtypes = scaling, (down.dtype, up.dtype)
        ctx.mark_dirty(base)
        return base.addmm_(inner, narrow_up.T, alpha=scaling)  # 3. (N, out)

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> tuple[torch.Tensor | None, ...]:
        (grad,) = outer
        x, inner, down, up = ctx.saved_tensors
        by_inner = (grad @ up).mul_(ctx.scaling)  # (N, r)
        by_up = (grad.T @ inner).to(ctx.dtypes[1]).mul_(ctx.scaling)  # (out, r)
        by_down = (by_inner.T @ x).to(ctx.dtypes[0])  # (r, in)
        by_x = by_inner @ down if ctx.needs_input_grad[1] else None  # (N, in)
        return grad, by_x, by_down, by_up, None


class _Norm(torch.autograd.Function):
    """x / rms(x) * scale for a frozen scale, cast last (or before the scale, `early`)."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, scale: torch.Tensor, eps: float, early: bool
    ) -> torch.Tensor:
        ctx.save_for_backward(x, scale)
        ctx.eps = eps
        if early:
            return scale * functional.rms_norm(x.float(), scale.shape, None, eps).to(x.dtype)
        return functional.rms_norm(x.float(), scale.shape, scale, eps).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> tuple[torch.Tensor, None, None, None]:
        x, scale = ctx.saved_tensors
        size = x.shape[-1]
        wide = x.float()
        square = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_()
        inverse = square.div_(size).add_(ctx.eps).rsqrt_()  # 1 / rms
        unit = wide * inverse
        grad = torch.mul(outer[0], scale.float())
        along = (grad * unit).sum(-1, keepdim=True)
        by_x = torch.addcmul(grad, unit, along, value=-1.0 / size).mul_(inverse).to(x.dtype)
        return by_x, None, None, None


def fused_layers_in(model: Any) -> AbstractContextManager[int]:
    """Within the block plain LoRA layers and frozen norms compute as above; gives their number.

    Other layers (quantised, with another variant of LoRA, a norm that is trained) stay as they are.
    """
    return forwards_replaced(model, lambda module: _adapted(module) or _norm(module))


def _adapted(module: Any) -> Forward | None:
    """The forward pass of a plain LoRA layer on a plain linear one, else None."""
    from peft.tuners.lora import Linear

    if not isinstance(module, Linear) or type(module.base_layer) is not torch.nn.Linear:
        return None
    if module.disable_adapters or module.merged or module.lora_variant or module.fan_in_fan_out:
        return None
    if len(module.active_adapters) != 1:
        return None
    (name,) = module.active_adapters
    down, up = module.lora_A[name], module.lora_B[name]
    if down.bias is not None or up.bias is not None or module.base_layer.weight.requires_grad:
        return None
    base, dropout, scaling = module.base_layer, module.lora_dropout[name], module.scaling[name]

    def with_adapter(x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])  # (N, in)
        product = base(flat)  # 1. (N, out)
        adapted: torch.Tensor = _Adapted.apply(
            product, dropout(flat), down.weight, up.weight, scaling
        )
        return adapted.view(*x.shape[:-1], -1)

    return with_adapter


def _norm(module: Any) -> Forward | None:
    """The forward pass of a frozen root-mean-square norm, else None."""
    weight = getattr(module, "weight", None)
    found = None if weight is None or weight.requires_grad else scale_of(module)
    if found is None:
        return None
    return lambda states: _Norm.apply(states, found.scale, found.eps, found.early)
