"""What the training of a tagger minimises: the mean loss over the characters of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from chmed_ner.methods.tagger.network import Features, TaggerNetwork, batch_of
from chmed_ner.methods.tagger.reading import Reading
from chmed_ner.train.examples import padded_parts_of


@dataclass(frozen=True, slots=True)
class TaggedExample:
    """A sentence as it is learnt: what is read, its features, the number of each gold tag."""

    reading: Reading
    features: Features
    tags: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.reading)

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows are read, and how long the longest one is."""
        return len(self.reading.rows), max(map(len, self.reading.rows))


class TagLoss:
    """The loss of a tagger's network, see `train.loop.Objective`; terms are characters.

    `rates` are the peak learning rates of the transformer and of the head.
    """

    def __init__(
        self, network: TaggerNetwork, rates: tuple[float, float], tokens_at_once: int
    ) -> None:
        self.model = network
        head = [p for name, p in network.named_parameters() if not name.startswith("base.")]
        self.groups = [(list(network.base.parameters()), rates[0]), (head, rates[1])]
        self.tokens_at_once = tokens_at_once

    def parts(self, batch: Sequence[TaggedExample]) -> list[list[TaggedExample]]:
        """The batch in parts of at most `tokens_at_once` tokens."""
        return padded_parts_of(batch, self.tokens_at_once)

    def terms(self, batch: Sequence[TaggedExample]) -> int:
        """The characters."""
        return sum(len(example.tags) for example in batch)

    def loss(self, part: Sequence[TaggedExample], terms: int) -> torch.Tensor:
        """The part's share of the mean loss over `terms` characters."""
        batch = batch_of(
            [each.reading for each in part],
            [each.features for each in part],
            [each.tags for each in part],
            self.model.base.device,
        )
        return self.model.loss(batch) / terms
