"""Bootstrap intervals: against drawing sentences one by one, reproducible, fast."""

import random
import time

import numpy as np
import pytest

from chmed_ner.errors import InputError
from chmed_ner.score.intervals import Interval, bootstrap_f1, sentence_counts
from chmed_ner.types import Scores, Span


def drawn(sentences: int, seed: int) -> np.ndarray:
    """Made-up counts of a system with an F1 near 60."""
    generator = np.random.default_rng(seed)
    gold = generator.poisson(4, sentences)
    correct = generator.binomial(gold, 0.6)
    return np.stack([gold, correct + generator.poisson(1.5, sentences), correct], axis=1)


def macro_f1(genres: list[list[tuple[int, int, int]]]) -> float:
    return sum(Scores(*map(sum, zip(*rows, strict=True))).f1 for rows in genres) / len(genres)


def test_agrees_with_drawing_sentences_one_by_one() -> None:
    counts = {"FT": drawn(150, 1), "WA": drawn(250, 2)}
    draw = random.Random(7)
    rows = [[tuple(map(int, row)) for row in array] for array in counts.values()]
    figures = sorted(
        macro_f1([draw.choices(genre, k=len(genre)) for genre in rows]) for _ in range(2000)
    )
    interval = bootstrap_f1(counts, resamples=4000, seed=1)
    assert interval.low == pytest.approx(figures[50], abs=0.3)
    assert interval.high == pytest.approx(figures[1949], abs=0.3)
    assert interval.low < macro_f1(rows) < interval.high


def test_same_seed_same_interval_in_any_order_of_genres() -> None:
    ft, wa = drawn(60, 1), drawn(90, 2)
    one = bootstrap_f1({"FT": ft, "WA": wa}, seed=3)
    assert bootstrap_f1({"WA": wa, "FT": ft}, seed=3) == one
    assert bootstrap_f1({"FT": ft[::-1], "WA": wa}, seed=3) == one
    assert bootstrap_f1({"FT": ft, "WA": wa}, seed=4) != one


def test_more_sentences_give_a_narrower_interval() -> None:
    few = bootstrap_f1({"FT": drawn(100, 1)}, seed=1)
    many = bootstrap_f1({"FT": drawn(10_000, 1)}, seed=1)
    assert 4 < (few.high - few.low) / (many.high - many.low) < 25


def test_equal_sentences_leave_no_doubt() -> None:
    same = bootstrap_f1({"FT": np.array([[2, 2, 1]] * 50)}, seed=1)
    assert (same.low, same.high) == (pytest.approx(50), pytest.approx(50))
    assert bootstrap_f1({"FT": np.zeros((5, 3), dtype=np.int64)}, seed=1) == Interval(0.0, 0.0)


def test_genres_are_strata_and_weigh_the_same() -> None:
    """A genre of 1,000 certain sentences halves the width that a doubtful one has alone."""
    alone = bootstrap_f1({"FT": drawn(100, 5)}, resamples=4000, seed=1)
    certain = np.array([[1, 1, 1]] * 1000)
    both = bootstrap_f1({"FT": drawn(100, 5), "WA": certain}, resamples=4000, seed=1)
    assert both.low == pytest.approx((alone.low + 100) / 2)
    assert both.high == pytest.approx((alone.high + 100) / 2)


def test_sentence_counts_of_spans() -> None:
    a, b = Span(0, 1, "BODY"), Span(1, 2, "DISE")
    counts = sentence_counts([((a, b), (a,)), ((), (b,)), ((), ())])
    assert counts.tolist() == [[2, 1, 1], [0, 1, 0], [0, 0, 0]]
    assert sentence_counts([]).shape == (0, 3)


def test_nothing_to_resample_is_refused() -> None:
    with pytest.raises(InputError, match="no genre"):
        bootstrap_f1({}, seed=1)
    with pytest.raises(InputError, match="genre FT: no sentences"):
        bootstrap_f1({"FT": sentence_counts([])}, seed=1)


@pytest.mark.slow
def test_a_thousand_resamples_of_4400_sentences_take_well_under_a_second() -> None:
    counts = {"FT": drawn(2035, 1), "WA": drawn(2381, 2)}
    started = time.perf_counter()
    bootstrap_f1(counts, resamples=1000, seed=1)
    assert time.perf_counter() - started < 1.0
