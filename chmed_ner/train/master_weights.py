"""Weights as the optimiser sees them: in float32, whatever the model multiplies in."""

from collections.abc import Iterable
from typing import Any

import torch


class MasterWeights:
    """Those of a model's `parameters` that are trained, as float32 `parameters`.

    A parameter in half precision has a float32 master copy (Micikevicius et al. 2018): bfloat16 has
    8 significant bits, so an update below 1/256 of a weight would be lost on the weight itself. Its
    gradients are moved to the copy as each backward pass forms them, so that those of several parts
    of a batch are added up in float32 and only one layer's are held in half precision.
    """

    def __init__(self, parameters: Iterable[Any]) -> None:
        self._copies: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.parameters: list[torch.Tensor] = [
            self._master_of(parameter) for parameter in parameters if parameter.requires_grad
        ]

    def publish(self) -> None:
        """Round the masters into the model's own weights."""
        with torch.no_grad():
            for parameter, master in self._copies:
                parameter.copy_(master)

    def _master_of(self, parameter: torch.Tensor) -> torch.Tensor:
        if parameter.dtype == torch.float32:
            return parameter
        master = parameter.detach().float().clone().requires_grad_()
        self._copies.append((parameter, master))

        def move_gradient(half: Any) -> None:
            gradient = half.grad.float()
            master.grad = gradient if master.grad is None else master.grad.add_(gradient)
            half.grad = None

        parameter.register_post_accumulate_grad_hook(move_gradient)  # type: ignore[no-untyped-call]
        return master
