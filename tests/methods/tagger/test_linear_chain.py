"""The chain against every path there is: partition function, likelihood, the best legal tags."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings, strategies as st

from chmed_ner.entities.bio import chunks, tags_of
from chmed_ner.methods.crf import legal
from chmed_ner.methods.tagger.linear_chain import IndependentTags, LegalPaths, LinearChainCRF
from chmed_ner.methods.tagger.model import tag_sets

(LABELS,) = tag_sets(("X", "Y"), nested=False)
COUNT = len(LABELS)


def random_chain(seed: int) -> LinearChainCRF:
    """A CRF with random transitions."""
    torch.manual_seed(seed)
    chain = LinearChainCRF(LABELS)
    for parameter in chain.parameters():
        torch.nn.init.normal_(parameter, std=2.0)
    return chain


def paths(length: int) -> list[tuple[int, ...]]:
    """Every legal path."""
    every = itertools.product(range(COUNT), repeat=length)
    return [path for path in every if legal([LABELS[tag] for tag in path])]


def score(chain: LegalPaths, emissions: torch.Tensor, path: tuple[int, ...]) -> float:
    """The log score of a path, added up in plain Python."""
    first, pairs, last = (part.tolist() for part in chain.scores())
    total = first[path[0]] + last[path[-1]] + emissions[0, path[0]].item()
    for at in range(1, len(path)):
        total += pairs[path[at - 1]][path[at]] + emissions[at, path[at]].item()
    return float(total)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_the_crf_agrees_with_enumeration(seed: int, lengths: list[int]) -> None:
    chain = random_chain(seed)
    emissions = 3 * torch.randn(len(lengths), max(lengths), COUNT)
    best = chain.best(emissions, torch.tensor(lengths))
    loss, tags = 0.0, torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, length in enumerate(lengths):
        scores = {path: score(chain, emissions[row], path) for path in paths(length)}
        partition = math.log(sum(map(math.exp, scores.values())))
        gold = sorted(scores)[seed % len(scores)]
        tags[row, :length] = torch.tensor(gold)
        tags[row, length:] = seed % COUNT  # padding has no say
        loss += partition - scores[gold]
        assert scores[tuple(best[row])] == pytest.approx(max(scores.values()), abs=1e-4)
    found = chain.loss(emissions, tags, torch.tensor(lengths))
    assert found.item() == pytest.approx(loss, rel=1e-4, abs=1e-4)


def test_its_gradients_are_numbers_and_leave_forbidden_pairs_alone() -> None:
    chain = random_chain(1)
    emissions = torch.randn(2, 5, COUNT, requires_grad=True)
    tags = torch.tensor([[0, 1, 2, 0, 0], [3, 4, 4, 1, 2]])
    chain.loss(emissions, tags, torch.tensor([3, 5])).backward()
    assert chain.pairs.grad is not None
    assert emissions.grad is not None
    for parameter in chain.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
    forbidden = chain.forbidden < 0
    assert forbidden.sum() == 6  # O, B-Y, I-Y before I-X, and the other way round
    assert (chain.pairs.grad[forbidden] == 0).all()
    assert (emissions.grad[0, 3:] == 0).all()


@pytest.mark.parametrize("kind", [LinearChainCRF, IndependentTags])
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 30))
def test_illegal_tags_never_come_out(kind: type[LegalPaths], seed: int, length: int) -> None:
    torch.manual_seed(seed)
    chain = kind(LABELS)
    for parameter in chain.parameters():
        torch.nn.init.normal_(parameter, std=5.0)
    emissions = 100 * torch.randn(1, length, COUNT)
    emissions[..., [LABELS.index("I-X"), LABELS.index("I-Y")]] += 50
    (path,) = chain.best(emissions, torch.tensor([length]))
    tags = [LABELS[tag] for tag in path]
    assert legal(tags)
    assert tags_of(chunks(tags), length) == tuple(tags)


def test_without_transitions_each_tag_counts_by_itself() -> None:
    chain = IndependentTags(LABELS)
    assert not list(chain.parameters())
    emissions = torch.zeros(1, 3, COUNT)
    emissions[0, 0, 1] = emissions[0, 1, 2] = emissions[0, 2, 0] = 1.0
    assert chain.best(emissions, torch.tensor([3])) == [[1, 2, 0]]
    tags = torch.tensor([[1, 2, 0]])
    each = -math.log(math.e / (math.e + COUNT - 1))
    two, three = (chain.loss(emissions, tags, torch.tensor([n])).item() for n in (2, 3))
    assert (two, three) == (pytest.approx(2 * each), pytest.approx(3 * each))


@pytest.mark.parametrize("kind", [LinearChainCRF, IndependentTags])
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_confidence_is_the_share_of_the_legal_paths(
    kind: type[LegalPaths], seed: int, lengths: list[int]
) -> None:
    chain = random_chain(seed) if kind is LinearChainCRF else kind(LABELS)
    torch.manual_seed(seed)
    emissions = 3 * torch.randn(len(lengths), max(lengths), COUNT)
    spans, shares = [], []
    for row, length in enumerate(lengths):
        weights = {
            chunks([LABELS[tag] for tag in path]): math.exp(score(chain, emissions[row], path))
            for path in paths(length)
        }
        spans.append(sorted({span for found in weights for span in found}))
        for span in spans[-1]:
            holding = sum(weight for found, weight in weights.items() if span in found)
            shares.append(holding / sum(weights.values()))
    found = chain.lattice().confident(spans, emissions.double().numpy(), lengths)
    confidences = [span.confidence for each in found for span in each]
    assert confidences == pytest.approx(shares, rel=1e-4, abs=1e-9)
