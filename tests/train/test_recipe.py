"""The knobs of a training are checked before anything is loaded."""

from typing import Any

import pytest

from chmed_ner.errors import InputError
from chmed_ner.run.config import option
from chmed_ner.train.regimes import LoRA


def a_regime(**knobs: Any) -> LoRA:
    """A regime with some knobs changed."""
    return LoRA(**{"learning_rate": 0.01, "epochs": 1, "batch_size": 4, "rank": 8, **knobs})


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
    ],
)
def test_a_bad_knob_is_named(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"regime\.{key}={value!r}: (give|choose)"):
        a_regime(**{key: value})


def test_a_backbone_without_weights_is_refused() -> None:
    with pytest.raises(InputError, match="scripted"):
        a_regime().check(option("backbone", "scripted"), {})
