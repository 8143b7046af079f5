"""The knobs of a training are checked before anything is loaded."""

from typing import Any

import pytest

from chmed_ner.errors import InputError
from chmed_ner.run.config import option
from chmed_ner.train.checkpoint import training_id
from chmed_ner.train.learning_regimes import LoRA


def a_regime(**knobs: Any) -> LoRA:
    """A regime with some knobs changed."""
    regime: LoRA = option("regime", "lora", **knobs)
    return regime


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rank", 0),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("max_tokens", 1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("epochs", 0),
        ("batch_size", 0),
        ("tokens_at_once", 0),
        ("schedule", "linear"),
        ("warmup_share", 1.0),
        ("warmup_share", -0.1),
        ("weight_decay", -1.0),
        ("clip_norm", 0.0),
        ("alpha", 0.0),
        ("keep", "middle"),
        ("quantization", "int2"),
        ("checkpoint_minutes", -1.0),
        ("checkpoint_minutes", float("nan")),
    ],
)
def test_a_bad_knob_is_named(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"regime\.{key}={value}: give"):
        a_regime(**{key: value})


def test_a_backbone_without_weights_is_refused() -> None:
    with pytest.raises(InputError, match="scripted"):
        a_regime().check(option("backbone", "scripted"), {})


def test_what_changes_no_result_is_no_part_of_a_training() -> None:
    first, same, other = a_regime(), a_regime(checkpoint_minutes=None), a_regime(rank=3)
    assert training_id(first, [], 13) == training_id(same, [], 13)
    assert training_id(first, [], 13) != training_id(other, [], 13)
