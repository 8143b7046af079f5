"""The output head: logits of all of the vocabulary, or of a few candidate tokens only.

For n states, (n, H), of which each may choose among tokens of its own:

1. Take the union of all states' options, (U,).
2. Multiply the states with these U rows of the head only, (n, U).
3. Mask, per state, what is not among its options; the largest that is left is the choice.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

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

        Only the candidates' rows of the weights are read then. Of a head that is not a plain matrix
        (quantised, with an adapter) all logits are computed.
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

    def likeliest(self, states: torch.Tensor) -> list[int]:
        """The likeliest token of each row; of equals, the first."""
        tokens: list[int] = first_largest(self.logits(states)).tolist()
        return tokens

    def likeliest_of(self, states: torch.Tensor, options: Sequence[torch.Tensor]) -> list[int]:
        """The likeliest of each row's `options`, ascending, (U,) each; of equals, the lowest."""
        counts = torch.tensor([len(each) for each in options])
        rows = torch.repeat_interleave(torch.arange(len(options)), counts).to(states.device)
        union, columns = torch.unique(torch.cat(list(options)), return_inverse=True)  # 1.
        union, columns = union.to(states.device), columns.to(states.device)
        logits = self.logits(states, union)  # 2. (n, U)
        legal = torch.full_like(logits, -torch.inf, dtype=torch.float32)  # 3.
        legal[rows, columns] = logits[rows, columns].float()
        tokens: list[int] = union[legal.argmax(-1)].tolist()
        return tokens


BLOCK = 512
"""Logits whose largest is found together: torch's `amax` is several times faster than `argmax`."""


def first_largest(logits: torch.Tensor) -> torch.Tensor:
    """The column of each row's largest logit, (n,); of equals, the first."""
    if logits.shape[1] % BLOCK:
        return logits.argmax(-1)
    blocks = logits.view(len(logits), -1, BLOCK)
    best = blocks.amax(-1).argmax(-1)
    within = blocks[torch.arange(len(logits), device=logits.device), best].argmax(-1)
    return best * BLOCK + within
