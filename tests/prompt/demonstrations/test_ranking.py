"""Which candidates come first, and how fast."""

import random
import statistics
import time

import pytest
from hypothesis import given, settings, strategies as st

from chmed_ner.errors import InputError
from chmed_ner.prompt.candidates import CharacterNgrams, Drawn


def test_the_most_similar_come_first() -> None:
    texts = ["他有高血壓和糖尿病", "每天喝水", "高血壓患者要吃藥", "天氣很好"]
    index = CharacterNgrams(texts, (1, 2))
    assert index.first(["高血壓患者要運動"], 2) == [[2, 0]]
    assert index.first(["每天喝水", "天氣很好"], 1) == [[1], [3]]
    assert sorted(index.first(["高血壓"], 9)[0]) == [0, 1, 2, 3]


def test_equal_ones_stand_in_their_order_and_others_in_the_query_do_not_matter() -> None:
    texts = [f"頭痛{mark}" for mark in "甲乙丙丁戊己庚"]
    index = CharacterNgrams(texts, (1, 2))
    assert index.first(["頭痛"], 3) == [[0, 1, 2]]
    queries = [f"{text}了" for text in texts]
    assert [index.first([query], 3)[0] for query in queries] == index.first(queries, 3)


def test_sentences_too_short_for_the_ngrams_are_named() -> None:
    with pytest.raises(InputError, match=r"regime\.ngrams=\[3, 4\]"):
        CharacterNgrams(["痛", "藥"], (3, 4))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_drawn_ones_differ_and_fewer_are_the_beginning_of_more(
    size: int, n: int, seed: int
) -> None:
    same = Drawn(size, seed, per_sentence=False)
    first, second = same.first(["甲", "乙"], n)
    assert first == second
    assert len(set(first)) == len(first) == min(n, size)
    assert set(first) <= set(range(size))
    assert same.first(["丙"], max(1, n - 1))[0] == first[: max(1, n - 1)]


def test_drawn_anew_for_each_sentence_and_seed() -> None:
    texts = [f"第{n}句" for n in range(20)]
    drawn = Drawn(1000, 13, per_sentence=True).first(texts, 4)
    assert len({tuple(each) for each in drawn}) == 20
    assert Drawn(1000, 13, per_sentence=True).first(texts[5:6], 4) == [drawn[5]]
    assert Drawn(1000, 14, per_sentence=True).first(texts, 4) != drawn


def synthetic(count: int, seed: int) -> list[str]:
    """Synthetic sentences: made-up words of 3,000 characters, frequent and rare ones."""
    chance = random.Random(seed)
    signs = [chr(0x4E00 + n) for n in range(3000)]
    rarer = [1 / (n + 3) for n in range(3000)]
    words = ["".join(chance.choices(signs, rarer, k=chance.choice((1, 2, 2, 3)))) for _ in signs]
    rare = [1 / (n + 10) for n in range(len(words))]
    return [
        "".join(chance.choices(words, rare, k=30))[: chance.randint(20, 60)] for _ in range(count)
    ]


def test_thirty_thousand_synthetic_candidates(capsys: pytest.CaptureFixture[str]) -> None:
    """The processor's time: others may be at work on the machine."""
    texts, queries = synthetic(30_000, 1), synthetic(200, 2)
    began = time.process_time()
    index = CharacterNgrams(texts, (1, 2))
    indexed = time.process_time() - began
    spent = []
    for query in queries:
        began = time.process_time()
        index.first([query], 5)
        spent.append(time.process_time() - began)
    query_ms = 1000 * statistics.median(spent)
    with capsys.disabled():
        print(f"\nindex {indexed:.1f} s, query {query_ms:.2f} ms (median of {len(queries)})")
    assert indexed < 20
    assert query_ms < 5
