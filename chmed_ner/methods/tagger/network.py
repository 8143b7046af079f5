"""The network: a transformer, states of characters, a head that scores tags, chains; its loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from chmed_ner.methods.tagger.linear_chain import IndependentTags, LegalPaths, LinearChainCRF
from chmed_ner.methods.tagger.reading import FARTHEST, Reading
from chmed_ner.train import WIDTH_STEP, padded_parts_of

PLACE_WIDTH = 32
FEATURE_WIDTH = 64

Features = Sequence[Sequence[int]]
"""The features that hold for each character of a text, as numbers from 1."""


@dataclass(frozen=True)
class Batch:
    """Sentences as tensors: R rows of T tokens, B sentences of up to C characters, S tag sets."""

    ids: torch.Tensor  # (R, T)
    mask: torch.Tensor  # (R, T)
    rows: torch.Tensor  # (B, C), with `positions`: where a character's state is
    positions: torch.Tensor  # (B, C)
    inside: torch.Tensor  # (B, C, 2), see `Reading`
    features: torch.Tensor  # (B, C, F), 0 for none
    lengths: torch.Tensor  # (B)
    tags: torch.Tensor | None  # (B, C, S), where known


class TaggerNetwork(nn.Module):
    """Emission scores for the characters of a batch, and a chain for each set of tags that reads
    them: one sequence of tags a set.

    `base` is a transformer without its output head; `causal`: a state knows only what precedes.
    There are `features` features. The head computes in float32 in any case.
    """

    def __init__(
        self,
        base: Any,
        tag_sets: Sequence[Sequence[str]],
        *,
        causal: bool,
        features: int,
        recurrent: int,
        dropout: float,
        crf: bool,
    ) -> None:
        super().__init__()
        self.base = base
        self.causal = causal
        width = int(self.base.config.hidden_size)
        self.norm = nn.LayerNorm(width)
        self.before = nn.Embedding(FARTHEST + 1, PLACE_WIDTH)
        self.after = nn.Embedding(FARTHEST + 1, PLACE_WIDTH)
        width += PLACE_WIDTH
        self.features: nn.EmbeddingBag | None = None
        if features:
            self.features = nn.EmbeddingBag(features + 1, FEATURE_WIDTH, mode="sum", padding_idx=0)
            width += FEATURE_WIDTH
        self.dropout = nn.Dropout(dropout)
        self.recurrent: nn.LSTM | None = None
        if recurrent:
            self.recurrent = nn.LSTM(width, recurrent, batch_first=True, bidirectional=True)
            width = 2 * recurrent
        self.emit = nn.Linear(width, sum(map(len, tag_sets)))
        self.chains = nn.ModuleList(map(LinearChainCRF if crf else IndependentTags, tag_sets))

    def forward(self, batch: Batch) -> list[tuple[LegalPaths, torch.Tensor]]:
        """Each chain with the scores (B, C, L) of its tags at each character."""
        # padding is on the right: a causal model never sees it from a character
        mask = None if self.causal else batch.mask
        states = self.base(input_ids=batch.ids, attention_mask=mask).last_hidden_state
        characters = states[batch.rows, batch.positions].float()  # (B, C, H)
        places = self.before(batch.inside[..., 0]) + self.after(batch.inside[..., 1])
        parts = [self.norm(characters), places]
        if self.features is not None:
            flat = batch.features.flatten(0, 1)
            parts.append(self.features(flat).view(*batch.features.shape[:2], -1))
        found = self.dropout(torch.cat(parts, dim=-1))
        if self.recurrent is not None:
            packed = pack_padded_sequence(
                found, batch.lengths.cpu(), batch_first=True, enforce_sorted=False
            )
            states, _ = self.recurrent(packed)
            width = found.shape[1]
            found, _ = pad_packed_sequence(states, batch_first=True, total_length=width)
            found = self.dropout(found)
        chains = cast(Sequence[LegalPaths], self.chains)
        scores = self.emit(found).split([len(chain.labels) for chain in chains], dim=-1)
        return list(zip(chains, scores, strict=True))

    def loss(self, batch: Batch) -> torch.Tensor:
        """The summed negative log-likelihood of the batch's tags."""
        assert batch.tags is not None
        found = zip(self(batch), batch.tags.unbind(dim=-1), strict=True)
        losses = [chain.loss(scores, tags, batch.lengths) for (chain, scores), tags in found]
        return torch.stack(losses).sum()

    def trained(self) -> dict[str, torch.Tensor]:
        """Every parameter that is trained, by name; not copied."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}


def batch_of(
    readings: Sequence[Reading],
    features: Sequence[Features],
    tags: Sequence[Sequence[tuple[int, ...]]] | None,
    device: Any,
) -> Batch:
    """The tensors of some texts, none of them empty, padded on the right."""
    rows = [row for reading in readings for row in reading.rows]
    width = -(-max(map(len, rows)) // WIDTH_STEP) * WIDTH_STEP
    lengths = [len(reading.places) for reading in readings]
    most = max(lengths)
    places, first = [], 0
    for reading in readings:
        places.append([(first + row, position) for row, position in reading.places])
        first += len(reading.rows)
    deep = max((len(found) for each in features for found in each), default=0) or 1
    filled = [[[*found, *[0] * (deep - len(found))] for found in each] for each in features]
    where = torch.tensor(_filled(places, most, (0, 0)), device=device)
    gold = None
    if tags is not None:
        gold = torch.tensor(_filled(tags, most, (0,) * len(tags[0][0])), device=device)
    return Batch(
        ids=torch.tensor(_filled(rows, width, 0), device=device),
        mask=torch.tensor(_filled([[1] * len(row) for row in rows], width, 0), device=device),
        rows=where[..., 0],
        positions=where[..., 1],
        inside=torch.tensor(_filled([r.inside for r in readings], most, (0, 0)), device=device),
        features=torch.tensor(_filled(filled, most, [0] * deep), device=device),
        lengths=torch.tensor(lengths, device=device),
        tags=gold,
    )


def _filled(rows: Sequence[Sequence[Any]], width: int, value: Any) -> list[list[Any]]:
    return [[*row, *[value] * (width - len(row))] for row in rows]


@dataclass(frozen=True, slots=True)
class TaggedExample:
    """A sentence as it is learnt: what is read, features, the number of each character's gold tag
    in each set."""

    reading: Reading
    features: Features
    tags: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.reading)

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows are read, and how long the longest one is."""
        return len(self.reading.rows), max(map(len, self.reading.rows))


class TagLoss:
    """A tagger's loss, see `train.loop.Objective`; `rates`: peaks of transformer and head."""

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
