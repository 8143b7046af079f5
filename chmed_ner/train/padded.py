"""Mean cross-entropy over the answer's tokens, with the output head computed only there.

With a vocabulary of 262,144 the head is most of the arithmetic. It is applied to the positions that
carry a label.
"""

from collections.abc import Sequence
from typing import Any

import torch

from chmed_ner.train.examples import Example

IGNORED = -100


WIDTH_STEP = 8
"""Batches are padded to a multiple of this: fewer shapes, so fewer kernels to compile."""


def padded(batch: Sequence[Example], skip: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
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


def padded_states(
    model: Any, batch: Sequence[Example], prefix: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The hidden states before the answers' tokens, (A, H), and these tokens, (A,).

    Both are on the output head's device, which may be another than the first layer's.
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
    place = model.get_output_embeddings().weight.device
    hidden, labels = hidden.to(place), labels.to(place)
    labelled = labels != IGNORED
    return hidden[labelled], labels[labelled]
