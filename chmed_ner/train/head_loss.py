"""Mean cross-entropy of hidden states under the output head, its logits formed in slices.

Where the head is a plain matrix the gradients are formed in the same pass, so that the logits of
only one slice exist at a time.
"""

from typing import Any

import torch
from torch.nn import functional

SLICE = 128
"""Positions whose logits are held at once: 128 * 262,144 * 4 bytes = 128 MiB."""


def head_loss(model: Any, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean loss of `states`, (N, H), that must predict `targets`, (N,); float32, a scalar.

    The head, with the scaling and capping of its architecture, is that of `model`, a transformers
    causal LM.
    """
    head = model.get_output_embeddings()
    if _plain_head(model, head):
        loss: torch.Tensor = _PlainHeadLoss.apply(states, head.weight, targets)
        return loss
    return functional.cross_entropy(_logits(model, head, states).float(), targets)


def _plain_head(model: Any, head: Any) -> bool:
    """Is the head a matrix and nothing else? (One with an adapter is not a plain Linear.)"""
    plain = type(head) is torch.nn.Linear and head.bias is None
    return plain and not _capping(model.config) and _scale(model.config) == 1.0


def _capping(config: Any) -> float | None:
    return getattr(config, "final_logit_softcapping", None)


def _scale(config: Any) -> float:
    """What the architecture multiplies its logits with (Cohere multiplies, Granite divides)."""
    multiplied = getattr(config, "logit_scale", None) or 1.0
    divided = getattr(config, "logits_scaling", None) or 1.0
    return float(multiplied) / float(divided)


def _logits(model: Any, head: Any, states: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = head(states) * _scale(model.config)
    cap = _capping(model.config)
    return torch.tanh(logits / cap) * cap if cap else logits


class _PlainHeadLoss(torch.autograd.Function):
    """Cross-entropy of `states @ weight.T`: the loss and its gradients in one pass.

    That by `weight` is formed, in float32, only where the weight is trained.
    """

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        count = len(targets)
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        gradient = torch.empty_like(states)
        by_weight = None
        if ctx.needs_input_grad[1]:
            by_weight = torch.zeros_like(weight, dtype=torch.float32)  # (V, H)
        for start in range(0, count, SLICE):
            part = slice(start, start + SLICE)
            logits = (states[part] @ weight.T).float()  # (n, V)
            goal = targets[part, None]
            normaliser = torch.logsumexp(logits, dim=1, keepdim=True)
            total += (normaliser - logits.gather(1, goal)).sum()
            probabilities = logits.sub_(normaliser).exp_()
            probabilities.scatter_add_(1, goal, -torch.ones_like(goal, dtype=logits.dtype))
            gradient[part] = probabilities.to(weight.dtype) @ weight
            if by_weight is not None:
                by_weight.addmm_(probabilities.T, states[part].float())
        ctx.save_for_backward(gradient, *(() if by_weight is None else (by_weight,)))
        ctx.count = count
        return total / count

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        gradient, *by_weight = ctx.saved_tensors
        share = outer[0] / ctx.count
        weighted = [(each * share).to(gradient.dtype) for each in by_weight]
        return gradient * share.to(gradient.dtype), weighted[0] if weighted else None, None
