"""Money: estimated beforehand, set aside before it is spent, never more than the budget."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from chmed_ner.backbone.api.cost import (
    FRAMING,
    Budget,
    Estimate,
    Prices,
    likely_tokens,
    most_tokens,
)
from chmed_ner.backbone.completions import CompletionStore, generate
from chmed_ner.entities.types import Completion
from chmed_ner.errors import BudgetError, EstimateOnly, InputError
from chmed_ner.model.asking import Request
from chmed_ner.run.config import option

Start = Callable[..., Any]
PRICES = Prices(prompt=2.0, completion=8.0)


def completion(prompt: int, answer: int, seconds: float = 0.5) -> Completion:
    """A completion of so many tokens."""
    return Completion(f"{prompt} {answer}", "test", "FT", "0", "无", "end", prompt, answer, seconds)


def test_a_price_is_per_million_tokens() -> None:
    assert PRICES.usd(1_000_000, 0) == 2
    assert PRICES.usd(500_000, 250_000) == 3


def test_answers_from_the_cache_were_paid_for_before() -> None:
    asked = [completion(1000, 10), completion(2000, 20), completion(4000, 40, seconds=0)]
    assert PRICES.paid(asked) == pytest.approx(3000 * 2e-6 + 30 * 8e-6)


def priced(prompt: float | None, answer: float | None) -> Any:
    """An endpoint with these prices."""
    return option(
        "backbone", "openai_compatible", base_url="http://127.0.0.1:9/v1", model="tiny",
        prompt_price=prompt, completion_price=answer,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "answer"), [(1.0, None), (None, 1.0), (-1.0, 1.0), (1.0, math.nan), (math.inf, 1.0)]
)
def test_half_a_price_is_none(prompt: float | None, answer: float | None) -> None:
    with pytest.raises(InputError, match=r"backbone\.(prompt|completion)_price=.*give "):
        priced(prompt, answer)


def test_no_price_is_fine() -> None:
    assert priced(None, None).prices is None
    assert priced(0, 0).prices == Prices(0, 0)


def test_an_estimate_in_words() -> None:
    line = str(Estimate(20, 10_000, 2_000, PRICES))
    assert line == (
        "20 requests, about 10,000 prompt tokens, at most 2,000 completion tokens: about 0.0200 to "
        "0.0360 USD"
    )
    assert "no price is given" in str(Estimate(20, 10_000, 2_000, None))


def test_tokens_of_sentences_are_between_the_bounds(tiny_tokenizer: Any, sample_sentences) -> None:
    """A byte-level tokenizer that knows little Chinese needs more than common ones do."""
    for sentence in sample_sentences[:50]:
        found = len(tiny_tokenizer.encode(sentence))
        assert likely_tokens(sentence) / 2 < found <= most_tokens(sentence) - FRAMING


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=30),
    st.floats(0, 5),
    st.integers(0, 99),
)
def test_a_budget_is_never_exceeded(
    questions: list[tuple[float, float]], limit: float, seed: int
) -> None:
    """Whatever each costs, up to the most it can, and in whatever order they end."""
    chance, budget, under_way = random.Random(seed), Budget(limit, 0.0), []
    for most, share in questions:
        if budget.allows(most):
            budget.promise(most)
            under_way.append((most, most * share))
        if under_way and chance.random() < 0.5:
            budget.settle(*under_way.pop(chance.randrange(len(under_way))))
    for each in under_way:
        budget.settle(*each)
    assert budget.spent <= limit * (1 + 1e-12)


def asked(
    server: Any, folder: Path, budget: float | None, count: int = 40, **settings: Any
) -> CompletionStore:
    """A generation with a price and a budget; the store also after it was stopped."""
    backbone = option(
        "backbone", "openai_compatible", name="loopback", base_url=server.base_url, model="tiny",
        prompt_price=1000.0, completion_price=1000.0, budget_usd=budget, concurrency=4,
        cache=str(folder / "cache"), **settings,
    )  # fmt: skip
    store = CompletionStore(folder / "completions.jsonl")
    requests = [Request(f"s{n:04d}", "test", "FT", f"句子{n:04d}", 10) for n in range(count)]
    try:
        generate(backbone.generator(stop=[], seed=0), requests, store)
    finally:
        assert backbone.usd(store) <= (math.inf if budget is None else budget)
    return store


def test_a_run_stops_at_its_budget_and_goes_on_with_a_larger_one(
    api_server: Start, tmp_path: Path
) -> None:
    """An answer costs 6 + 4 tokens, 0.01 USD; 18 + 32 + 10 tokens are set aside for each."""
    server = api_server(seconds=0.02, answer="头痛症状")
    with pytest.raises(BudgetError, match=r"budget_usd=0\.2: 0\.150000 USD are spent.*25 are left"):
        asked(server, tmp_path, budget=0.2)
    assert len(server.seen()) == len(CompletionStore(tmp_path / "completions.jsonl")) == 15
    with pytest.raises(
        BudgetError, match=r"0\.150000 USD are spent"
    ):  # it counts for the whole run
        asked(server, tmp_path, budget=0.2)
    assert len(server.seen()) == 15
    assert len(asked(server, tmp_path, budget=1.0)) == 40
    assert len(server.seen()) == 40


def test_answers_from_the_cache_need_no_budget(api_server: Start, tmp_path: Path) -> None:
    server = api_server(answer="头痛症状")
    asked(server, tmp_path, budget=None)
    (tmp_path / "completions.jsonl").unlink()
    store = asked(server, tmp_path, budget=0.0)
    assert {each.seconds for each in store} == {0.0}
    assert len(server.seen()) == 40


def test_without_reported_usage_the_most_is_counted(
    api_server: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = asked(api_server(usage=False), tmp_path, budget=None, count=3)
    assert {(e.prompt_tokens, e.completion_tokens) for e in store} == {(10 + FRAMING, 10)}
    assert caplog.text.count("reports no usage: tokens are counted as the most they can be") == 1


def test_an_estimate_asks_nothing(api_server: Start, tmp_path: Path) -> None:
    server = api_server()
    with pytest.raises(EstimateOnly, match=r"nothing was asked; left: 40 requests.*USD") as stop:
        asked(server, tmp_path, budget=None, estimate_only=True)
    assert stop.value.exit_code == 0
    assert server.seen() == []
