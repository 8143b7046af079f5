"""Bootstrap intervals: against drawing sentences one by one, reproducible, fast, small."""

import random
import tracemalloc

import numpy as np
import pytest

from chmed_ner.entities.types import Scores, Span
from chmed_ner.errors import InputError
from chmed_ner.score import resampling
from chmed_ner.score.resampling import Interval, bootstrap_f1, sentence_counts


def drawn(sentences: int, seed: int) -> np.ndarray:
    """Made-up counts of a system with an F1 near 60."""
    generator = np.random.default_rng(seed)
    gold = generator.poisson(4, sentences)
    correct = generator.binomial(gold, 0.6)
    return np.stack([gold, correct + generator.poisson(1.5, sentences), correct], axis=1)


Rows = list[tuple[int, int, int]]


def rows_of(counts: np.ndarray) -> Rows:
    """The counts as plain numbers."""
    return [(int(gold), int(predicted), int(correct)) for gold, predicted, correct in counts]


def plain_f1(rows: Rows) -> float:
    """F1 of some sentences by the scorer's own formula."""
    gold, predicted, correct = (sum(column) for column in zip(*rows, strict=True))
    return Scores(gold, predicted, correct).f1


def macro_f1(genres: list[Rows]) -> float:
    """The mean of the genres' F1."""
    return sum(map(plain_f1, genres)) / len(genres)


def test_agrees_with_drawing_sentences_one_by_one() -> None:
    counts = {"FT": drawn(150, 1), "WA": drawn(250, 2)}
    draw = random.Random(7)
    rows = {genre: rows_of(array) for genre, array in counts.items()}
    samples = [
        {genre: draw.choices(each, k=len(each)) for genre, each in rows.items()}
        for _ in range(2000)
    ]
    found = bootstrap_f1(counts, resamples=4000, seed=1)
    plain = {
        "macro": [macro_f1(list(sample.values())) for sample in samples],
        **{genre: [plain_f1(sample[genre]) for sample in samples] for genre in counts},
    }
    for name, interval in {"macro": found.macro, **found.genres}.items():
        figures = sorted(plain[name])
        assert interval.low == pytest.approx(figures[50], abs=0.4), name
        assert interval.high == pytest.approx(figures[1949], abs=0.4), name
    assert found.macro.low < macro_f1(list(rows.values())) < found.macro.high
    assert list(found.genres) == ["FT", "WA"]


def test_same_seed_same_intervals_in_any_order_of_genres() -> None:
    ft, wa = drawn(60, 1), drawn(90, 2)
    one = bootstrap_f1({"FT": ft, "WA": wa}, seed=3)
    assert bootstrap_f1({"WA": wa, "FT": ft}, seed=3) == one
    assert bootstrap_f1({"FT": ft, "WA": wa}, seed=4) != one
    assert bootstrap_f1({"FT": ft, "WA": wa}, seed=-3) != one


def test_a_genre_s_interval_does_not_depend_on_the_others() -> None:
    both = bootstrap_f1({"FT": drawn(60, 1), "WA": drawn(90, 2)}, seed=3)
    alone = bootstrap_f1({"WA": drawn(90, 2)}, seed=3)
    assert alone.macro == alone.genres["WA"] == both.genres["WA"]


def test_the_two_genres_of_one_system_are_drawn_apart() -> None:
    """Were they drawn together, the mean of two equal genres would be as doubtful as one."""
    same = drawn(200, 1)
    found = bootstrap_f1({"FT": same, "WA": same.copy()}, resamples=2000, seed=1)
    width = found.genres["FT"].high - found.genres["FT"].low
    assert (found.macro.high - found.macro.low) / width == pytest.approx(0.5**0.5, abs=0.1)


def test_how_many_are_held_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"FT": drawn(70, 1), "WA": drawn(90, 2)}
    whole = bootstrap_f1(counts, resamples=300, seed=3)
    for cells in (1, 500, 7000):
        monkeypatch.setattr(resampling, "CELLS", cells)
        assert bootstrap_f1(counts, resamples=300, seed=3) == whole


def test_memory_is_bounded() -> None:
    counts = {"FT": drawn(30_000, 1)}
    tracemalloc.start()
    try:
        bootstrap_f1(counts, resamples=300, seed=1)  # 72 MB for the draws alone, if held at once
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50e6


def test_more_sentences_give_a_narrower_interval() -> None:
    few = bootstrap_f1({"FT": drawn(100, 1)}, resamples=500, seed=1).macro
    many = bootstrap_f1({"FT": drawn(10_000, 1)}, resamples=500, seed=1).macro
    assert 4 < (few.high - few.low) / (many.high - many.low) < 25


def test_equal_sentences_leave_no_doubt() -> None:
    same = bootstrap_f1({"FT": np.array([[2, 2, 1]] * 50)}, seed=1).macro
    assert (same.low, same.high) == (pytest.approx(50), pytest.approx(50))
    nothing = bootstrap_f1({"FT": np.zeros((5, 3), dtype=np.int64)}, seed=1)
    assert nothing.macro == nothing.genres["FT"] == Interval(0.0, 0.0)


def test_genres_are_strata_and_weigh_the_same() -> None:
    """A genre of 1,000 certain sentences halves the width that a doubtful one has alone."""
    alone = bootstrap_f1({"FT": drawn(100, 5)}, seed=1).macro
    certain = np.array([[1, 1, 1]] * 1000)
    both = bootstrap_f1({"FT": drawn(100, 5), "WA": certain}, seed=1)
    assert both.macro.low == pytest.approx((alone.low + 100) / 2)
    assert both.macro.high == pytest.approx((alone.high + 100) / 2)
    assert both.genres["WA"] == Interval(100.0, 100.0)


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
    with pytest.raises(InputError, match="resamples=0"):
        bootstrap_f1({"FT": drawn(5, 1)}, resamples=0, seed=1)
