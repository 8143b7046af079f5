"""Mean cross-entropy over the answer's tokens, with the output head computed only there.

With a vocabulary of 262,144 the head is most of the arithmetic. It is applied to the positions that
carry a label.
"""

from collections.abc import Sequence
from typing import Any

import torch

from chmed_ner.model.kernels.head_loss import head_loss
from chmed_ner.train.candidates import candidates_of
from chmed_ner.train.examples import Example
from chmed_ner.train.padded import padded_states


def answer_loss(
    model: Any, batch: Sequence[Example], prefix: tuple[int, ...], *, packed: bool = False
) -> torch.Tensor:
    """The mean loss of a batch, a scalar with gradient.

    `model` is a transformers causal LM, adapters injected; `prefix` is read once for all rows (its
    states do not depend on what follows, so neither loss nor gradient change). `packed` where the
    model is `packable`: the same in less time.
    """
    if packed:
        from chmed_ner.train.packed import packed_states

        states, targets = packed_states(model, batch, len(prefix))
    else:
        states, targets = padded_states(model, batch, prefix)
    return head_loss(model, states, targets, candidates_of(batch, states.device))
