"""The plan of batches: the same for the same prompts, in whatever order they come."""

import random
from collections import Counter

from hypothesis import given, strategies as st

from chmed_ner.backbone.completions import plan_batches
from chmed_ner.model.asking import Request

prompts = st.lists(st.text(alphabet="头痛a\n", max_size=8), max_size=40)


def requests_for(texts: list[str]) -> list[Request]:
    """One request a text, ids in order."""
    return [Request(f"{n:04d}", "test", "FT", text, 8) for n, text in enumerate(texts)]


def length(request: Request) -> int:
    """Characters for tokens."""
    return len(request.prompt)


@given(texts=prompts, size=st.integers(1, 12), seed=st.integers())
def test_the_plan_does_not_depend_on_the_order(texts: list[str], size: int, seed: int) -> None:
    requests = requests_for(texts)
    shuffled = random.Random(seed).sample(requests, len(requests))
    assert plan_batches(shuffled, length, size) == plan_batches(requests, length, size)


@given(texts=prompts, size=st.integers(1, 12), seed=st.integers())
def test_the_same_prompts_under_other_ids_are_batched_alike(
    texts: list[str], size: int, seed: int
) -> None:
    """`predict` numbers sentences itself and must batch them as the run did."""
    renamed = requests_for(random.Random(seed).sample(texts, len(texts)))
    plans = [plan_batches(requests, length, size) for requests in (requests_for(texts), renamed)]
    ours, theirs = ([[r.prompt for r in batch] for batch in plan] for plan in plans)
    assert ours == theirs


@given(texts=prompts, size=st.integers(1, 12))
def test_every_request_is_asked_once_longest_first(texts: list[str], size: int) -> None:
    requests = requests_for(texts)
    batches = plan_batches(requests, length, size)
    assert Counter(request for batch in batches for request in batch) == Counter(requests)
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(batches)
    lengths = [length(request) for batch in batches for request in batch]
    assert lengths == sorted(lengths, reverse=True)
