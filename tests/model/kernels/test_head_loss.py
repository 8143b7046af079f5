"""The loss at the output head against torch's own: whole vocabularies and candidate tokens."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from chmed_ner.model.kernels.head import NORMALISED, SLICE, Candidates, Head, head_loss

WIDTH = 8


class OnlyHead:
    """What `head_loss` needs of a causal LM: its head, and a configuration."""

    def __init__(self, rows: int, *, bias: bool = False, **config: Any) -> None:
        torch.manual_seed(5)
        self.head = nn.Linear(WIDTH, rows, bias=bias)
        nn.init.normal_(self.head.weight)
        self.config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(**config))

    def get_output_embeddings(self) -> nn.Linear:
        """The head."""
        return self.head

    def cast(self, dtype: torch.dtype) -> "OnlyHead":
        """The same in another precision."""
        self.head.to(dtype)
        return self


def positions(count: int, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random states that require gradients, and targets."""
    torch.manual_seed(6)
    return torch.randn(count, WIDTH, requires_grad=True), torch.randint(rows, (count,))


def gradients_of(loss: torch.Tensor, *wanted: torch.Tensor) -> list[torch.Tensor]:
    """The gradients by `wanted`, with an outer factor that must be carried."""
    return list(torch.autograd.grad(loss * 3.0, wanted))


def assert_near(ours: list[torch.Tensor], theirs: list[torch.Tensor], share: float = 1e-4) -> None:
    """Gradients that differ by no more than a share of the largest."""
    for own, expected in zip(ours, theirs, strict=True):
        assert own.shape == expected.shape
        largest = float(expected.abs().max())
        assert largest > 0
        assert float((own - expected).abs().max()) <= share * largest


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("count", [99, 100, SLICE + 1])
def test_a_vocabulary_that_takes_several_blocks(count: int, trained: bool) -> None:
    rows = NORMALISED // 100 + 3  # of which 99 positions are a block
    model = OnlyHead(rows)
    model.head.requires_grad_(trained)
    states, targets = positions(count, rows)
    ours = head_loss(model, states, targets)
    plain = functional.cross_entropy(model.head(states), targets)
    torch.testing.assert_close(ours, plain)
    wanted = [states, model.head.weight] if trained else [states]
    assert_near(gradients_of(ours, *wanted), gradients_of(plain, *wanted))


def test_a_certain_and_a_hopeless_target() -> None:
    """The target's probability may be 1, or too small for any float32."""
    model = OnlyHead(3)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.weight[:, 0] = torch.tensor([0.0, 1.0, 400.0])
    states = torch.eye(WIDTH)[:1].requires_grad_()
    assert head_loss(model, states, torch.tensor([2])).item() == 0.0
    assert head_loss(model, states, torch.tensor([0])).item() == 400.0


def test_in_bfloat16_the_loss_keeps_the_accuracy_of_float32() -> None:
    """Logits are rounded by the head itself; what follows them is not."""
    rows = 5000
    model = OnlyHead(rows).cast(torch.bfloat16)
    states, targets = positions(40, rows)
    states = states.detach().bfloat16().requires_grad_()
    plain = functional.cross_entropy(model.head(states).float(), targets)
    ours = head_loss(model, states, targets)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, plain, rtol=1e-6, atol=0.0)
    wanted = [states, model.head.weight]
    assert_near(gradients_of(ours, *wanted), gradients_of(plain, *wanted), share=0.01)


HEADS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bias": {"bias": True},
    "capped": {"final_logit_softcapping": 3.0},
    "scaled": {"logit_scale": 0.25},
}


@pytest.mark.parametrize("kind", HEADS)
def test_with_every_token_a_candidate_it_is_the_full_loss(kind: str) -> None:
    model = OnlyHead(50, **HEADS[kind])
    states, targets = positions(SLICE + 3, 50)
    every = Candidates(torch.arange(50), torch.ones(len(targets), 50, dtype=torch.bool))
    whole, among = head_loss(model, states, targets), head_loss(model, states, targets, every)
    torch.testing.assert_close(among, whole)
    wanted = [states, *model.head.parameters()]
    assert_near(gradients_of(among, *wanted), gradients_of(whole, *wanted))


@pytest.mark.parametrize("kind", HEADS)
def test_with_few_candidates_it_is_the_cross_entropy_of_their_logits(kind: str) -> None:
    """Each position has its own; the others' rows of the head have no gradient."""
    model = OnlyHead(50, **HEADS[kind])
    states, _ = positions(SLICE + 3, 50)
    tokens = torch.tensor([3, 4, 11, 12, 30, 49])
    targets = tokens[torch.arange(len(states)) % 6]
    legal = torch.rand(len(states), 6) < 0.5
    legal[torch.arange(len(states)), torch.arange(len(states)) % 6] = True
    ours = head_loss(model, states, targets, Candidates(tokens, legal))
    logits = Head(model).logits(states)
    each = [
        functional.cross_entropy(row[tokens[own]], (tokens[own] == target).nonzero()[0, 0])
        for row, own, target in zip(logits, legal, targets, strict=True)
    ]
    plain = torch.stack(each).mean()
    torch.testing.assert_close(ours, plain)
    wanted = [states, *model.head.parameters()]
    found = gradients_of(ours, *wanted)
    assert_near(found, gradients_of(plain, *wanted))
    moved = found[1].abs().sum(1).nonzero()[:, 0]
    assert moved.tolist() == tokens.tolist()
