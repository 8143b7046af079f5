"""Tags of a sentence scored as a chain: a linear-chain CRF, and tags scored one by one.

Both find the best legal BIO sequence by Viterbi: float32, log space, vectorised over sentences.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from chmed_ner.entities import OUTSIDE, may_follow
from chmed_ner.methods.chain import Chain

FORBIDDEN = -1e30
"""A log score whose exponential is 0; unlike -inf it has no undefined differences."""


class LegalPaths(nn.Module, ABC):
    """The legal sequences over `labels` (BIO tags), all scored alike; the base of both scorers."""

    forbidden_first: torch.Tensor
    forbidden: torch.Tensor

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.labels = tuple(labels)
        first = [0.0 if may_follow(OUTSIDE, tag) else FORBIDDEN for tag in labels]
        pairs = [[0.0 if may_follow(p, tag) else FORBIDDEN for tag in labels] for p in labels]
        self.register_buffer("forbidden_first", torch.tensor(first), persistent=False)
        self.register_buffer("forbidden", torch.tensor(pairs), persistent=False)

    def scores(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log scores of the first tag (L), of tag after tag (L, L: from, to), of the last (L)."""
        return self.forbidden_first, self.forbidden, torch.zeros_like(self.forbidden_first)

    def lattice(self) -> Chain:
        """The same scores for the probabilities of entities among all legal sequences."""
        return Chain(self.labels, *(part.detach().double().cpu().numpy() for part in self.scores()))

    @abstractmethod
    def loss(
        self, emissions: torch.Tensor, tags: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Summed negative log-likelihood of `tags` (B, T) given `emissions` (B, T, L)."""

    @torch.no_grad()
    def best(self, emissions: torch.Tensor, lengths: torch.Tensor) -> list[list[int]]:
        """The legal tags with the highest score for each sentence, `lengths` (B) of them."""
        first, pairs, last = self.scores()
        emissions = emissions.float()
        inside = _inside(lengths, emissions.shape[1])
        total = first + emissions[:, 0]  # (B, L)
        sources = []
        for at in range(1, emissions.shape[1]):
            found, source = (total[:, :, None] + pairs).max(dim=1)  # (B, L)
            total = torch.where(inside[:, at, None], found + emissions[:, at], total)
            sources.append(source)
        ends = (total + last).argmax(dim=1).tolist()
        back = torch.stack(sources, dim=1).tolist() if sources else [[]] * len(ends)
        paths = []
        for end, steps, length in zip(ends, back, lengths.tolist(), strict=True):
            path = [end]
            for source in reversed(steps[: length - 1]):  # the best predecessor of each tag
                path.append(source[path[-1]])
            paths.append(path[::-1])
        return paths


class LinearChainCRF(LegalPaths):
    """A linear-chain CRF (Lafferty et al. 2001) whose transitions are learnt.

    The partition function leaves forbidden transitions out: no probability is spent on them.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels)
        self.first = nn.Parameter(torch.zeros(len(labels)))
        self.pairs = nn.Parameter(torch.zeros(len(labels), len(labels)))
        self.last = nn.Parameter(torch.zeros(len(labels)))

    def scores(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As in the base, with what was learnt."""
        return self.first + self.forbidden_first, self.pairs + self.forbidden, self.last

    def loss(
        self, emissions: torch.Tensor, tags: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Summed over the sentences: log partition function less the score of `tags`."""
        emissions = emissions.float()
        inside = _inside(lengths, emissions.shape[1])
        first, pairs, last = self.scores()
        single = emissions.gather(2, tags[:, :, None])[:, :, 0] * inside
        steps = pairs[tags[:, :-1], tags[:, 1:]] * inside[:, 1:]
        ends = tags.gather(1, lengths[:, None] - 1)[:, 0]
        score = first[tags[:, 0]] + single.sum(dim=1) + steps.sum(dim=1) + last[ends]
        return (self.log_partition(emissions, inside) - score).sum()

    def log_partition(self, emissions: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """The log of the summed exponential scores of all legal paths (B): forward algorithm."""
        first, pairs, last = self.scores()
        total = first + emissions[:, 0]
        for at in range(1, emissions.shape[1]):
            found = torch.logsumexp(total[:, :, None] + pairs, dim=1) + emissions[:, at]
            total = torch.where(inside[:, at, None], found, total)
        return torch.logsumexp(total + last, dim=1)


class IndependentTags(LegalPaths):
    """Each tag by itself (softmax); legal sequences are still the only ones found."""

    def loss(
        self, emissions: torch.Tensor, tags: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Summed cross-entropy of the tags."""
        inside = _inside(lengths, emissions.shape[1])
        return functional.cross_entropy(emissions[inside].float(), tags[inside], reduction="sum")


def _inside(lengths: torch.Tensor, width: int) -> torch.Tensor:
    """(B, T): which positions are inside their sentence."""
    return torch.arange(width, device=lengths.device) < lengths[:, None]
