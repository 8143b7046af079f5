"""How the examples of a batch lie end to end, the prefix that all of them share first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from chmed_ner.train.examples import Example

Masks = dict[tuple[int | None, torch.dtype], torch.Tensor]


@dataclass(frozen=True)
class Packed:
    """A packed batch: N tokens, the first `shared` of them the prefix of all B examples.

    `places` says where the other tokens stand in the padded form (B, `width`), flattened;
    `predicts` are the indices of the tokens whose next one is of an answer, `targets` these next
    ones.
    """

    tokens: torch.Tensor  # (N,)
    positions: torch.Tensor  # (N,)
    shared: int
    rows: int
    width: int
    places: torch.Tensor  # (N - shared,)
    predicts: torch.Tensor  # (A,)
    targets: torch.Tensor  # (A,)
    masks: Masks = field(default_factory=dict)
    prefix_masks: Masks = field(default_factory=dict)

    def mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """What is added to the own tokens' scores, 0 or -inf: (1, 1, width, shared + width)."""
        found = self.masks.get((window, dtype))
        if found is None:
            total = self.shared + self.width
            found = _mask(self.shared, total, window, dtype, self.tokens.device)
            self.masks[window, dtype] = found
        return found

    def prefix_mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """The same for the prefix alone: (1, 1, shared, shared)."""
        found = self.prefix_masks.get((window, dtype))
        if found is None:
            found = _mask(0, self.shared, window, dtype, self.tokens.device)
            self.prefix_masks[window, dtype] = found
        return found


def _mask(start: int, end: int, window: int | None, dtype: torch.dtype, device: Any) -> Any:
    """Causal, and within `window` where there is one, for the positions [start, end) on [0, end).

    Columns behind an example's end lie behind all its tokens, so causality hides them.
    """
    at = torch.arange(start, end, device=device)[:, None]
    columns = torch.arange(end, device=device)[None]
    hidden = columns > at
    if window is not None:
        hidden |= columns <= at - window
    return torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, -torch.inf)[
        None, None
    ]


def pack(batch: Sequence[Example], shared: int, device: Any) -> Packed:
    """`batch`, whose prompts all begin with the same `shared` tokens, packed."""
    tokens = list(batch[0].prompt[:shared])
    positions = list(range(shared))
    width = max(map(len, batch)) - shared
    places: list[int] = []
    predicts: list[int] = []
    targets: list[int] = []
    for row, example in enumerate(batch):
        own = (*example.prompt[shared:], *example.answer)
        first = len(tokens) + len(example.prompt) - shared - 1
        predicts += range(first, first + len(example.answer))
        targets += example.answer
        tokens += own
        positions += range(shared, shared + len(own))
        places += range(row * width, row * width + len(own))
    lists = (tokens, positions, places, predicts, targets)
    tensors = [torch.tensor(each, dtype=torch.long, device=device) for each in lists]
    ids, at, standing, predicting, goals = tensors
    return Packed(ids, at, shared, len(batch), width, standing, predicting, goals)
