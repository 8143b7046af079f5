"""Mean cross-entropy of hidden states under the output head, its logits formed in slices.

Where the head is a plain matrix, loss and gradients come from one pass, so that the logits of only
one slice exist at a time. For each slice of the states, (n, H):

1. its logits, (n, V), masked to the candidates where there are any;
2. its loss, the gradients by its logits taking their place, (n, V);
3. from these, the gradients by its states, (n, H), and by the weights if they are trained, (V, H).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from chmed_ner.model.kernels.head import Head

SLICE = 256
"""Positions whose logits are held at once: 256 * 262,144 * 2 bytes = 128 MiB in bfloat16."""

BLOCK = 1 << 22
"""Logits that are normalised at once, in float32 (16 MiB): they stay in a processor's cache."""


@dataclass(frozen=True)
class Candidates:
    """The tokens among which a softmax chooses.

    `tokens`, (U,), ascending, are the rows of the head that are read; `legal`, (N, U), says which
    of them each of the N positions chooses among. Its target must be one of these.
    """

    tokens: torch.Tensor
    legal: torch.Tensor


def head_loss(
    model: Any, states: torch.Tensor, targets: torch.Tensor, candidates: Candidates | None = None
) -> torch.Tensor:
    """The mean loss of `states`, (N, H), that must predict `targets`, (N,); float32, a scalar.

    The head, with the scaling and capping of its architecture, is that of `model`, a transformers
    causal LM. With `candidates`, the softmax is over each position's legal tokens only, and only
    their rows of the head are read, and have a gradient where the head is trained.
    """
    head = Head(model)
    legal = None
    if candidates is not None:
        targets = torch.searchsorted(candidates.tokens, targets)
        legal = candidates.legal
    if _is_matrix(head):
        weight = head.module.weight
        if candidates is not None:
            weight = weight.index_select(0, candidates.tokens)
        loss: torch.Tensor = _MatrixLoss.apply(states, weight, targets, legal)
        return loss
    logits = head.logits(states, None if candidates is None else candidates.tokens).float()
    if legal is not None:
        logits = logits.masked_fill(~legal, -torch.inf)
    return functional.cross_entropy(logits, targets)


def _is_matrix(head: Head) -> bool:
    """Is the head a matrix and nothing else? (One with an adapter is not a plain Linear.)"""
    return head.plain and head.module.bias is None and not head.cap and head.scale == 1.0


class _MatrixLoss(torch.autograd.Function):
    """Cross-entropy of `states @ weight.T`: the loss and its gradients in one pass.

    That by `weight` is formed, in float32, only where the weight is trained.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        legal: torch.Tensor | None,
    ) -> torch.Tensor:
        count = len(targets)
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        gradient = torch.empty_like(states)
        by_weight = None
        if ctx.needs_input_grad[1]:
            by_weight = torch.zeros_like(weight, dtype=torch.float32)  # (V, H)
        for start in range(0, count, SLICE):
            part = slice(start, start + SLICE)
            logits = states[part] @ weight.T  # 1. (n, V)
            if legal is not None:
                logits.masked_fill_(~legal[part], -torch.inf)
            total += _to_gradients(logits, targets[part])  # 2. (n, V)
            gradient[part] = logits @ weight  # 3. (n, H)
            if by_weight is not None:
                by_weight.addmm_(logits.T.float(), states[part].float())
        ctx.save_for_backward(gradient, *(() if by_weight is None else (by_weight,)))
        ctx.count = count
        return total / count

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> tuple[torch.Tensor | None, ...]:
        gradient, *by_weight = ctx.saved_tensors
        share = outer[0] / ctx.count
        weighted = [(each * share).to(gradient.dtype) for each in by_weight]
        by_states = gradient * share.to(gradient.dtype)
        return by_states, weighted[0] if weighted else None, None, None


def _to_gradients(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Put the loss's gradient by each of the `logits`, (n, V), in its place; the summed loss.

    Computed in float32; the likeliest token's probability, which is never tiny, gives the
    normaliser.
    """
    total = torch.zeros((), dtype=torch.float32, device=logits.device)
    rows = max(1, BLOCK // logits.shape[1])
    for block, goals in zip(torch.split(logits, rows), torch.split(targets, rows), strict=True):
        goal = goals[:, None]
        exact = block.float()
        lead = exact.amax(1, keepdim=True) - exact.gather(1, goal)
        probabilities = torch.softmax(exact, dim=1)
        total += (lead - probabilities.amax(1, keepdim=True).log()).sum()
        probabilities.scatter_add_(1, goal, -torch.ones_like(lead))
        block.copy_(probabilities)
    return total
