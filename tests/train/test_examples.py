"""Encoding prompts and answers, and cutting an epoch into batches."""

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from chmed_ner.backbone import load_tokenizer
from chmed_ner.model.asking import Wrapping, wrapping
from chmed_ner.train.recipe import (
    Example,
    encode,
    epoch_batches,
    packed_parts_of,
    padded_parts_of,
    shared_prefix,
)


@pytest.fixture(scope="module")
def plain(tiny_tokenizer: Any) -> Wrapping:
    """No chat template."""
    return wrapping(tiny_tokenizer, "auto", {})


def some_examples(count: int, seed: int = 0) -> list[Example]:
    """Examples of very different lengths, no two alike."""
    chance = random.Random(seed)
    return [
        Example((number,) * chance.randint(1, 200), (number,) * chance.randint(1, 60))
        for number in range(count)
    ]


def padding(batches: list[list[Example]]) -> int:
    """Tokens that are computed for nothing."""
    return sum(len(batch) * max(map(len, batch)) - sum(map(len, batch)) for batch in batches)


def test_prompt_and_answer_are_encoded_apart_and_the_end_token_closes_the_answer(
    plain: Wrapping, tiny_tokenizer: Any
) -> None:
    encoded = encode([("句子：头痛\n", "头痛-症状"), ("句子：无\n", "无")], plain, None)
    assert (encoded.truncated, encoded.skipped) == (0, 0)
    for example, answer in zip(encoded.examples, ("头痛-症状", "无"), strict=True):
        assert example.answer[-1] == tiny_tokenizer.eos_token_id
        assert tiny_tokenizer.decode(example.answer[:-1]) == answer
        assert tiny_tokenizer.eos_token_id not in example.prompt
    assert tiny_tokenizer.decode(encoded.examples[0].prompt) == "句子：头痛\n"


def test_the_prompt_of_training_is_the_prompt_of_inference(tiny_chat: Path) -> None:
    chat = wrapping(load_tokenizer(tiny_chat), "auto", {})
    encoded = encode([("头痛", "无")], chat, None)
    assert encoded.examples[0].prompt == tuple(chat.prompt_ids("头痛"))
    assert encoded.examples[0].answer[-1] == chat.end_id()


def test_cuts_and_left_out_examples_are_counted(plain: Wrapping) -> None:
    pairs = [("头痛", "无"), ("头痛" * 5, "头痛-症状"), ("头痛" * 50, "无")]
    whole = encode(pairs, plain, None)
    lengths = [(len(example.prompt), len(example)) for example in whole.examples]
    limit = lengths[1][1] - 2  # the second loses its end token and one more
    assert lengths[0][1] <= limit < lengths[2][0]
    cut = encode(pairs, plain, limit)
    assert (cut.truncated, cut.skipped, len(cut.examples)) == (2, 1, 2)
    assert cut.examples[0] == whole.examples[0]
    assert cut.examples[1].prompt == whole.examples[1].prompt
    assert cut.examples[1].answer == whole.examples[1].answer[:-2]


def test_an_example_just_as_long_as_the_limit_is_whole(plain: Wrapping) -> None:
    whole = encode([("头痛", "头痛-症状")], plain, None).examples[0]
    exact = encode([("头痛", "头痛-症状")], plain, len(whole))
    assert (exact.examples, exact.truncated, exact.skipped) == ((whole,), 0, 0)
    one_less = encode([("头痛", "头痛-症状")], plain, len(whole) - 1)
    assert (one_less.examples[0].answer, one_less.truncated) == (whole.answer[:-1], 1)
    prompt_only = encode([("头痛", "头痛-症状")], plain, len(whole.prompt))
    assert (prompt_only.examples, prompt_only.truncated, prompt_only.skipped) == ((), 1, 1)


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ([(1, 2, 3), (1, 2, 4)], (1, 2)),
        ([(1, 2), (1, 2, 3)], (1,)),  # the shorter keeps a token of its own
        ([(1, 2, 3), (1, 2, 3)], (1, 2)),
        ([(1, 2, 3)], (1, 2)),
        ([(1,), (1, 2, 3)], ()),
        ([(1, 2), (2, 1)], ()),
        ([], ()),
    ],
)
def test_shared_prefix(prompts: list[tuple[int, ...]], expected: tuple[int, ...]) -> None:
    assert shared_prefix([Example(prompt, (9,)) for prompt in prompts]) == expected


@given(
    shared=st.lists(st.integers(0, 3)),
    rests=st.lists(st.lists(st.integers(0, 3), min_size=1), min_size=1),
)
def test_the_shared_prefix_is_the_longest_there_is(
    shared: list[int], rests: list[list[int]]
) -> None:
    prompts = [(*shared, *rest) for rest in rests]
    prefix = shared_prefix([Example(prompt, (9,)) for prompt in prompts])
    assert len(prefix) >= len(shared)
    assert all(prompt[: len(prefix)] == prefix for prompt in prompts)
    nexts = {prompt[len(prefix)] for prompt in prompts}  # an IndexError: none was kept back
    assert len(nexts) > 1 or any(len(prompt) == len(prefix) + 1 for prompt in prompts)


@given(count=st.integers(1, 300), size=st.integers(1, 40), seed=st.integers(), epoch=st.integers())
def test_an_epoch_holds_every_example_once_in_batches_of_one_size(
    count: int, size: int, seed: int, epoch: int
) -> None:
    examples = some_examples(count)
    batches = epoch_batches(examples, size, seed, epoch)
    assert Counter(e for batch in batches for e in batch) == Counter(examples)
    assert len(batches) == -(-count // size)  # the number of steps that the schedule counts on
    assert sorted(map(len, batches), reverse=True)[:-1] == [size] * (len(batches) - 1)


def test_batches_depend_on_seed_and_epoch_only() -> None:
    examples = some_examples(100)
    first = epoch_batches(examples, 8, seed=13, epoch=0)
    random.seed(1)
    assert epoch_batches(tuple(examples), 8, seed=13, epoch=0) == first
    assert epoch_batches(examples, 8, seed=13, epoch=1) != first
    assert epoch_batches(examples, 8, seed=14, epoch=0) != first


def test_batches_of_like_length_have_little_padding_but_come_in_no_order_of_length() -> None:
    examples = some_examples(2000)
    batches = epoch_batches(examples, 16, seed=0, epoch=0)
    shuffled = random.Random(0).sample(examples, len(examples))
    at_random = [shuffled[at : at + 16] for at in range(0, len(shuffled), 16)]
    assert padding(batches) < 0.2 * padding(at_random)
    longest = [max(map(len, batch)) for batch in batches]
    rises = sum(after > before for before, after in pairwise(longest))
    assert 0.3 < rises / len(longest) < 0.7


@given(count=st.integers(1, 60), tokens=st.integers(1, 3000), seed=st.integers(0, 100))
def test_a_batch_is_read_in_parts_that_fit(count: int, tokens: int, seed: int) -> None:
    batch = some_examples(count, seed)
    parts = padded_parts_of(batch, tokens)
    assert Counter(example for part in parts for example in part) == Counter(batch)
    for part in parts:
        assert len(part) == 1 or len(part) * max(map(len, part)) <= tokens
    whole = padded_parts_of(batch, count * max(map(len, batch)))
    assert len(whole) == 1


@given(
    count=st.integers(1, 60),
    tokens=st.integers(1, 3000),
    shared=st.integers(0, 1),
    seed=st.integers(0, 100),
)
def test_packed_parts_fit_and_are_about_equal(
    count: int, tokens: int, shared: int, seed: int
) -> None:
    batch = some_examples(count, seed)
    parts = packed_parts_of(batch, tokens, shared)
    assert [each for part in parts for each in part] == sorted(batch, key=len)
    own = [sum(len(example) - shared for example in part) for part in parts]
    longest = max(map(len, batch))
    for part, size in zip(parts, own, strict=True):
        assert len(part) == 1 or shared + size <= tokens
    if len(parts) < count:
        assert max(own) - min(own) <= 2 * longest
    assert len(packed_parts_of(batch, sum(map(len, batch)), shared)) == 1
