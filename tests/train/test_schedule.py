"""Learning-rate factors, by hand."""

import math

import pytest
from hypothesis import given, strategies as st

from chmed_ner.run.config import option
from chmed_ner.train.recipe import SCHEDULES


def factors(schedule: str, *, epochs: int, per_epoch: int, warmup: float) -> list[float]:
    """The factor of every step of a training."""
    steps = epochs * per_epoch
    recipe = option("regime", "lora", schedule=schedule, epochs=epochs, warmup_share=warmup)
    return [
        recipe.rate_factor(epoch * per_epoch + number, steps, epoch)
        for epoch in range(epochs)
        for number in range(per_epoch)
    ]


def test_cosine_without_warm_up() -> None:
    root = math.sqrt(0.5)
    assert factors("cosine", epochs=2, per_epoch=2, warmup=0) == pytest.approx(
        [1.0, 0.5 + root / 2, 0.5, 0.5 - root / 2]
    )


def test_cosine_warms_up_in_equal_steps_and_then_starts_at_the_peak() -> None:
    assert factors("cosine", epochs=1, per_epoch=6, warmup=3 / 6) == pytest.approx(
        [0.25, 0.5, 0.75, 1.0, 0.75, 0.25]
    )


def test_cosine_per_epoch_moves_only_between_epochs() -> None:
    assert factors("cosine_per_epoch", epochs=3, per_epoch=2, warmup=0) == pytest.approx(
        [1.0, 1.0, 0.75, 0.75, 0.25, 0.25]
    )
    assert factors("cosine_per_epoch", epochs=2, per_epoch=3, warmup=1 / 6) == pytest.approx(
        [0.5, 1.0, 1.0, 0.5, 0.5, 0.5]
    )


def test_constant() -> None:
    assert factors("constant", epochs=2, per_epoch=2, warmup=1 / 4) == [0.5, 1.0, 1.0, 1.0]


@given(
    schedule=st.sampled_from(SCHEDULES),
    epochs=st.integers(1, 5),
    per_epoch=st.integers(1, 20),
    share=st.floats(0, 0.99),
)
def test_every_factor_is_positive_and_at_most_one_and_falls_after_the_warm_up(
    schedule: str, epochs: int, per_epoch: int, share: float
) -> None:
    warmup = round(share * epochs * per_epoch)
    found = factors(schedule, epochs=epochs, per_epoch=per_epoch, warmup=share)
    assert all(0.0 < factor <= 1.0 for factor in found)
    assert found[:warmup] == sorted(found[:warmup])
    assert found[warmup:] == sorted(found[warmup:], reverse=True)
