"""Mean cross-entropy over the answer's tokens, with the output head computed only there.

With a vocabulary of 262,144 the head is most of the arithmetic. It is applied to the positions that
carry a label, in slices, and where the head is a plain matrix the gradients are formed in the same
pass, so that the logits of only one slice exist at a time.
"""

from typing import Any

import torch
from torch.nn import functional

from chmed_ner.train.examples import Example

IGNORED = -100
WIDTH_STEP = 8
"""Batches are padded to a multiple of this: fewer shapes, so fewer kernels to compile."""

SLICE = 128
"""Positions whose logits are held at once: 128 * 262,144 * 4 bytes = 128 MiB."""


def padded(batch: list[Example], skip: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and labels, both (B, T), padded on the right, without the first `skip` tokens.

    `labels[b, t]` is the token that position t must predict, or IGNORED.
    """
    width = -(-(max(map(len, batch)) - skip) // WIDTH_STEP) * WIDTH_STEP
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    labels = torch.full((len(batch), width), IGNORED, dtype=torch.long)
    for row, example in enumerate(batch):
        tokens = (*example.prompt[skip:], *example.answer)
        ids[row, : len(tokens)] = torch.tensor(tokens)
        begin = len(example.prompt) - skip - 1
        labels[row, begin : begin + len(example.answer)] = torch.tensor(example.answer)
    return ids.to(device), labels.to(device)


def answer_loss(model: Any, batch: list[Example], prefix: tuple[int, ...]) -> torch.Tensor:
    """The mean loss of a batch, a scalar with gradient.

    `model` is a transformers causal LM, adapters injected; `prefix` is read once for all rows (its
    states do not depend on what follows, so neither loss nor gradient change).
    """
    ids, labels = padded(batch, len(prefix), model.device)
    cache = None
    if prefix:
        from transformers import DynamicCache

        cache = DynamicCache(config=model.config)
        shared = torch.tensor([prefix], device=model.device)
        model.base_model(input_ids=shared, past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(len(batch))
    hidden = model.base_model(
        input_ids=ids, past_key_values=cache, use_cache=cache is not None
    ).last_hidden_state  # (B, T, H)
    labelled = labels != IGNORED
    states, targets = hidden[labelled], labels[labelled]  # (N, H), (N,)
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
