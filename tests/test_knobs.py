"""What a knob may hold: types, null, ranges, lists; and what is no part of a run's identity."""

import math
from typing import Any

import pytest
from omegaconf import OmegaConf

from chmed_ner.errors import InputError
from chmed_ner.files import config_directory
from chmed_ner.knobs import NAMES_RUN, NO_RESULT, marked
from chmed_ner.run.config import GROUPS, compose, configure, option
from chmed_ner.track.record import config_hash
from chmed_ner.train import LoRA, SavedAdapter


@pytest.mark.parametrize(
    ("group", "name", "knobs", "says"),
    [
        ("regime", "lora", {"learning_rate": 0}, "regime.learning_rate=0: give more than 0"),
        ("regime", "lora", {"learning_rate": math.nan}, "give more than 0"),
        ("regime", "lora", {"epochs": True}, "regime.epochs=True: a whole number is needed"),
        ("regime", "lora", {"epochs": None}, "regime.epochs=null: a whole number is needed"),
        ("regime", "lora", {"max_tokens": 1}, "give 2 or more, or null"),
        ("regime", "lora", {"schedule": "linear"}, "give one of cosine"),
        ("regime", "lora", {"targets": None}, "regime.targets=null: give all-linear, or a list"),
        ("regime", "lora", {"targets": [1]}, "give all-linear, or a list of layer names"),
        ("regime", "few_shot", {"ngrams": None}, "regime.ngrams=null: give the shortest"),
        ("backbone", "causal_lm", {"path": "x", "chat_options": None}, "give a mapping"),
        ("method", "ensemble", {"runs": None}, "method.runs=null: give a list of two or more"),
        ("method", "ensemble", {"runs": ["a", 7]}, "give a list of two or more runs"),
        ("method", "file", {"files": {"FT": 5}}, "give a file a genre"),
        ("method", "lexicon", {"thresholds": None}, "method.thresholds=null: give"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(
    group: str, name: str, knobs: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError) as refused:
        option(group, name, **knobs)
    assert says in str(refused.value)


MEANINGFUL = {("seed", -1), ("split_seed", -1)}
"""A seed may be any whole number."""
NEEDED = {
    "path": "a", "runs": ["a", "b"], "files": {"FT": "a"}, "test": {"FT": "a"}, "model": "a",
    "base_url": "http://127.0.0.1",
}  # fmt: skip
"""Knobs that a user must give."""
OPTIONS = [
    (file.parent.name, file.stem)
    for group in GROUPS
    for file in sorted((config_directory() / group).glob("*.yaml"))
    if "_target_:" in file.read_text(encoding="utf-8")  # others inherit all knobs
]


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_no_knob_takes_a_number_that_is_none_or_has_no_meaning(group: str, name: str) -> None:
    content: Any = OmegaConf.to_container(compose([f"{group}={name}"])[group], resolve=True)
    needed = {knob: NEEDED[knob] for knob in content.keys() & NEEDED.keys()}
    for knob, default in content.items():
        for value in (math.nan, -1, -1.5, math.inf, float("1e400"), 10**400):
            if (knob, value) not in MEANINGFUL:
                given = [value] if isinstance(default, list) else value
                with pytest.raises(InputError, match=rf"^[^\n]*\b{knob}\b[^\n]*$"):
                    option(group, name, **{**needed, knob: given})


def test_a_seed_is_a_whole_number_that_a_machine_holds() -> None:
    with pytest.raises(InputError, match=r"^seed=10000.*: give a number between"):
        configure(compose([f"seed={10**400}"]), {})


def test_what_changes_no_result_and_names_of_runs_are_no_part_of_the_identity() -> None:
    assert marked(LoRA, NO_RESULT) == {"checkpoint_minutes"}
    assert marked(SavedAdapter, NAMES_RUN) == {"path"}

    def identity(target: str, **knobs: Any) -> str:
        return config_hash({"regime": {"_target_": f"chmed_ner.train.{target}", **knobs}}, {}, "")

    assert identity("LoRA", checkpoint_minutes=1) == identity("LoRA", checkpoint_minutes=2)
    assert identity("SavedAdapter", path="/a") == identity("SavedAdapter", path="/b")
    assert identity("LoRA", epochs=1) != identity("LoRA", epochs=2)


def test_a_configuration_of_another_version_can_still_be_compared() -> None:
    gone = {"regime": {"_target_": "chmed_ner.gone.LoRA", "epochs": 1}}
    assert config_hash(gone, {}, "") != config_hash({"regime": None}, {}, "")
