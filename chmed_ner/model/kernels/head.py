"""The output head: logits of all of the vocabulary, or of a few candidates only, and their loss.

To choose for n states, (n, H), each among tokens of its own:

1. take the union of all states' options, (U,);
2. multiply the states with these U rows of the head only, (n, U);
3. mask, per state, what is not among its options; the largest that is left is the choice, and its
   softmax over what is left the probability of that choice.

The loss of a head that is a plain matrix comes with its gradients from one pass, so that the logits
of only one slice of the states, (n, H), exist at a time:

1. its logits, (n, V), masked to the candidates where there are any;
2. its loss, the gradients by its logits taking their place, (n, V);
3. from these, the gradients by its states, (n, H), and by the weights if they are trained, (V, H).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

BLOCK = 512
"""Logits whose largest is found together: torch's `amax` is several times faster than `argmax`."""

SLICE = 256
"""Positions whose logits are held at once: 256 * 262,144 * 2 bytes = 128 MiB in bfloat16."""

NORMALISED = 1 << 22
"""Logits that are normalised at once, in float32 (16 MiB): they stay in a processor's cache."""

CACHED = 1 << 18
"""Logits that are normalised at once where nothing but a few results is kept: half as fast beyond a
core's own cache."""

FILLED_ROWS, FILLED_COLUMNS = 16, 128
"""On a CPU states and candidates are filled up to multiples of these: oneDNN compiles a kernel for
every new shape, which takes longer than the product."""


class Head:
    """The head of a transformers causal LM, with the scaling and capping of its architecture."""

    def __init__(self, model: Any) -> None:
        config = model.config.get_text_config()
        self.module = model.get_output_embeddings()
        self.plain = type(self.module) is torch.nn.Linear
        self.cap: float | None = getattr(config, "final_logit_softcapping", None)
        multiplied = getattr(config, "logit_scale", None) or 1.0
        divided = getattr(config, "logits_scaling", None) or 1.0
        self.scale = float(multiplied) / float(divided)
        """Cohere multiplies its logits, Granite divides them."""

    def logits(self, states: torch.Tensor, tokens: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (n, V) of states (n, H); with `tokens`, (U,), only those columns, (n, U).

        A head that is not a plain matrix (quantised, with an adapter) computes all of them.
        """
        if tokens is None:
            logits = self.module(states)
        elif self.plain:
            logits = self._of_candidates(states, tokens)
        else:
            logits = self.module(states)[:, tokens]
        if self.scale != 1.0:
            logits = logits * self.scale
        return torch.tanh(logits / self.cap) * self.cap if self.cap else logits

    def _of_candidates(self, states: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The product with the rows of `tokens` alone, (n, U)."""
        rows, columns = len(states), len(tokens)
        if states.device.type == "cpu":
            states = functional.pad(states, (0, 0, 0, -rows % FILLED_ROWS))
            tokens = functional.pad(tokens, (0, -columns % FILLED_COLUMNS))
        bias = None if self.module.bias is None else self.module.bias[tokens]
        logits = functional.linear(states, self.module.weight[tokens], bias)
        return logits[:rows, :columns]

    def likeliest(self, states: torch.Tensor, places: Sequence[int]) -> "Likeliest":
        """What is likeliest at some `places` of the states, (a, H)."""
        logits = self.logits(states[list(places)])
        return Likeliest({at: row for row, at in enumerate(places)}, first_largest(logits), logits)

    def likeliest_of(
        self, states: torch.Tensor, options: Sequence[torch.Tensor]
    ) -> tuple[list[int], list[float]]:
        """The likeliest of each row's `options`, ascending, (U,) each; of equals, the lowest. And
        their log-probabilities among these options."""
        counts = torch.tensor([len(each) for each in options])
        rows = torch.repeat_interleave(torch.arange(len(options)), counts).to(states.device)
        union, columns = torch.unique(torch.cat(list(options)), return_inverse=True)  # 1.
        union, columns = union.to(states.device), columns.to(states.device)
        logits = self.logits(states, union)  # 2. (n, U)
        legal = torch.full_like(logits, -torch.inf, dtype=torch.float32)  # 3.
        legal[rows, columns] = logits[rows, columns].float()
        best = legal.argmax(-1)
        return union[best].tolist(), log_probabilities(legal, best).tolist()


@dataclass(frozen=True)
class Likeliest:
    """The likeliest tokens at f places, (f,), of equals the first, out of their logits, (f, V).

    `rows` are by place.
    """

    rows: Mapping[int, int]
    tokens: torch.Tensor
    logits: torch.Tensor

    def chosen(self, places: Sequence[int]) -> dict[int, tuple[int, float]]:
        """Token and log-probability at each of these places: only they are normalised."""
        rows = torch.tensor([self.rows[at] for at in places], device=self.tokens.device)
        tokens = self.tokens[rows]
        chances = log_probabilities(self.logits[rows], tokens)
        each = zip(tokens.tolist(), chances.tolist(), strict=True)
        return dict(zip(places, each, strict=True))


def first_largest(logits: torch.Tensor) -> torch.Tensor:
    """The column of each row's largest logit, (n,); of equals, the first."""
    if logits.shape[1] % BLOCK:
        return logits.argmax(-1)
    blocks = logits.view(len(logits), -1, BLOCK)
    best = blocks.amax(-1).argmax(-1)
    within = blocks[torch.arange(len(logits), device=logits.device), best].argmax(-1)
    return best * BLOCK + within


def log_probabilities(logits: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """The log-softmax of one column of each row, (n,), in float32."""
    rows = len(logits) if logits.is_cuda else max(1, CACHED // logits.shape[1])
    found = [
        torch.log_softmax(block, -1, dtype=torch.float32).gather(1, at[:, None])[:, 0]
        for block, at in zip(torch.split(logits, rows), torch.split(columns, rows), strict=True)
    ]
    return torch.cat(found)


@dataclass(frozen=True)
class Candidates:
    """A softmax at N positions, each over its `legal`, (N, U), of the `tokens`, (U,), ascending.

    A position's target must be legal.
    """

    tokens: torch.Tensor
    legal: torch.Tensor


def head_loss(
    model: Any, states: torch.Tensor, targets: torch.Tensor, candidates: Candidates | None = None
) -> torch.Tensor:
    """The mean cross-entropy of `model`'s `states`, (N, H), for `targets`, (N,); float32, ().

    With `candidates`, only they take part in the softmax, and only their rows of the head are read.
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
    """Cross-entropy of `states @ weight.T`; a trained weight's gradient is summed in float32."""

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
    """The summed loss in float32; its gradient by each of the `logits`, (n, V), takes their place.

    The likeliest token's probability, which is never tiny, gives the normaliser.
    """
    total = torch.zeros((), dtype=torch.float32, device=logits.device)
    rows = max(1, NORMALISED // logits.shape[1])
    for block, goals in zip(torch.split(logits, rows), torch.split(targets, rows), strict=True):
        goal = goals[:, None]
        exact = block.float()
        lead = exact.amax(1, keepdim=True) - exact.gather(1, goal)
        probabilities = torch.softmax(exact, dim=1)
        total += (lead - probabilities.amax(1, keepdim=True).log()).sum()
        probabilities.scatter_add_(1, goal, -torch.ones_like(lead))
        block.copy_(probabilities)
    return total
