"""Two systems on the same sentences: against counting every exchange, and against plain loops."""

import random
from itertools import product

import numpy as np
import pytest

from chmed_ner.entities.types import Scores
from chmed_ner.errors import InputError
from chmed_ner.score import resampling
from chmed_ner.score.resampling import Estimate, bootstrap_f1, compare_counts

Rows = list[tuple[int, int, int]]


def systems(sentences: int, seed: int, better: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Made-up counts of two systems on the same gold; the second finds `better` more of it."""
    generator = np.random.default_rng(seed)
    gold = generator.poisson(4, sentences)
    found = []
    for recall in (0.6, 0.6 + better):
        correct = generator.binomial(gold, recall)
        found.append(np.stack([gold, correct + generator.poisson(1, sentences), correct], axis=1))
    return found[0], found[1]


def rows_of(counts: np.ndarray) -> Rows:
    """The counts as plain numbers."""
    return [(int(gold), int(predicted), int(correct)) for gold, predicted, correct in counts]


def plain_f1(rows: Rows) -> float:
    """F1 of some sentences by the scorer's own formula."""
    gold, predicted, correct = (sum(column) for column in zip(*rows, strict=True))
    return Scores(gold, predicted, correct).f1


def exact_p(first: list[Rows], second: list[Rows]) -> float:
    """The share of all exchanges whose difference of macro F1 is as large as the observed one."""

    def difference(ones: list[Rows], twos: list[Rows]) -> float:
        return sum(plain_f1(b) - plain_f1(a) for a, b in zip(ones, twos, strict=True)) / len(ones)

    observed = abs(difference(first, second))
    places = [(g, s) for g, rows in enumerate(first) for s in range(len(rows))]
    hits = 0
    for swaps in product((False, True), repeat=len(places)):
        ones, twos = [list(rows) for rows in first], [list(rows) for rows in second]
        for (g, s), swap in zip(places, swaps, strict=True):
            if swap:
                ones[g][s], twos[g][s] = twos[g][s], ones[g][s]
        hits += abs(difference(ones, twos)) >= observed - 1e-9
    return hits / 2 ** len(places)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_p_values_agree_with_counting_every_exchange(seed: int) -> None:
    pairs = {"FT": systems(5, seed, 0.3), "WA": systems(4, seed + 10, 0.3)}
    first = {genre: pair[0] for genre, pair in pairs.items()}
    second = {genre: pair[1] for genre, pair in pairs.items()}
    found = compare_counts(first, second, resamples=10, rounds=40_000, seed=seed)
    ones, twos = ([rows_of(counts) for counts in side.values()] for side in (first, second))
    assert found.macro.p_value == pytest.approx(exact_p(ones, twos), abs=0.012)
    for number, genre in enumerate(pairs):
        exact = exact_p([ones[number]], [twos[number]])
        assert found.genres[genre].p_value == pytest.approx(exact, abs=0.012)


def test_the_difference_is_resampled_in_pairs() -> None:
    """Against a loop that draws sentences one by one, the same ones for both systems."""
    first, second = systems(200, 1, 0.05)
    draw = random.Random(5)
    both = list(zip(rows_of(first), rows_of(second), strict=True))
    differences = []
    for _ in range(2000):
        ones, twos = zip(*draw.choices(both, k=len(both)), strict=True)
        differences.append(plain_f1(list(twos)) - plain_f1(list(ones)))
    differences.sort()
    found = compare_counts({"FT": first}, {"FT": second}, resamples=4000, rounds=10, seed=1).macro
    assert found.difference.f1 == pytest.approx(plain_f1(rows_of(second)) - found.first.f1)
    assert found.difference.low == pytest.approx(differences[50], abs=0.5)
    assert found.difference.high == pytest.approx(differences[1949], abs=0.5)
    assert found.first.f1 == pytest.approx(plain_f1(rows_of(first)))
    assert found.sentences == 200


def test_each_system_has_the_interval_it_has_alone() -> None:
    pairs = {"FT": systems(80, 1), "WA": systems(50, 2)}
    sides = [{genre: pair[n] for genre, pair in pairs.items()} for n in (0, 1)]
    found = compare_counts(*sides, resamples=200, rounds=10, seed=7)
    for side, name in zip(sides, ("first", "second"), strict=True):
        alone = bootstrap_f1(side, resamples=200, seed=7)
        for comparison, interval in [
            (found.macro, alone.macro),
            *((found.genres[genre], alone.genres[genre]) for genre in pairs),
        ]:
            estimate = getattr(comparison, name)
            assert (estimate.low, estimate.high) == (interval.low, interval.high)


def test_turned_round_the_difference_changes_its_sign_alone() -> None:
    first, second = systems(120, 3, 0.05)
    found = compare_counts({"FT": first}, {"FT": second}, seed=2).macro
    turned = compare_counts({"FT": second}, {"FT": first}, seed=2).macro
    assert turned.p_value == pytest.approx(found.p_value, abs=1e-12)
    assert turned.difference.f1 == pytest.approx(-found.difference.f1)
    assert turned.difference.low == pytest.approx(-found.difference.high)
    assert (turned.first, turned.second) == (found.second, found.first)


def test_a_system_against_itself() -> None:
    counts = systems(60, 1)[0]
    found = compare_counts({"FT": counts}, {"FT": counts.copy()}, rounds=50, seed=1).macro
    assert found.p_value == 1.0
    assert found.difference == Estimate(0.0, 0.0, 0.0)


def test_a_clear_difference_has_the_smallest_p_value_there_is() -> None:
    first, second = systems(500, 1, 0.3)
    found = compare_counts({"FT": first}, {"FT": second}, rounds=999, seed=1).macro
    assert found.p_value == pytest.approx(1 / 1000)
    assert 0 < found.difference.low < found.difference.f1 < found.difference.high


def test_equal_systems_are_called_different_as_often_as_the_level_says() -> None:
    levels = []
    for seed in range(300):
        first, second = systems(40, seed)
        found = compare_counts({"FT": first}, {"FT": second}, resamples=1, rounds=199, seed=seed)
        levels.append(found.macro.p_value)
    assert 0.02 < sum(p <= 0.05 for p in levels) / 300 < 0.09
    assert 0.42 < sum(p <= 0.5 for p in levels) / 300 < 0.58


def test_same_seed_same_figures_however_many_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = systems(90, 1, 0.02)
    one = compare_counts({"FT": first}, {"FT": second}, rounds=500, seed=1)
    assert compare_counts({"FT": first}, {"FT": second}, rounds=500, seed=1) == one
    assert compare_counts({"FT": first}, {"FT": second}, rounds=500, seed=2) != one
    monkeypatch.setattr(resampling, "CELLS", 700)
    assert compare_counts({"FT": first}, {"FT": second}, rounds=500, seed=1) == one


def test_what_cannot_be_compared_is_refused() -> None:
    first, second = systems(5, 1)
    with pytest.raises(InputError, match="genres FT and WA"):
        compare_counts({"FT": first}, {"WA": second})
    with pytest.raises(InputError, match="genres none and none"):
        compare_counts({}, {})
    with pytest.raises(InputError, match="genre FT: 5 and 4 sentences"):
        compare_counts({"FT": first}, {"FT": second[:4]})
    other = second.copy()
    other[3, 0] += 1
    with pytest.raises(InputError, match=r"genre FT, sentence 4: .* gold entities"):
        compare_counts({"FT": first}, {"FT": other})
    for draws in ({"resamples": 0}, {"rounds": 0}):
        with pytest.raises(InputError, match="=0: draw at least once"):
            compare_counts({"FT": first}, {"FT": second}, **draws)
