"""Every named grid of `experiments/sweep`, run small: none is listed here by name."""

import json
import logging
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from chmed_ner.backbone import Constrained
from chmed_ner.cli import main
from chmed_ner.run.config import compose, configure

SWEEP = Path(__file__).parents[2] / "experiments" / "sweep"
SMALL = (
    "dataset=sample", "dataset.genres=[WA]", "limit.train=40", "limit.validation=4", "limit.test=2",
    "tracking=dry",
)  # fmt: skip


def content(study: str) -> dict[str, Any]:
    text = (SWEEP / f"{study}.yaml").read_text(encoding="utf-8")
    found = OmegaConf.to_container(OmegaConf.create(text))
    assert isinstance(found, dict)
    return found


def is_grid(study: str) -> bool:
    """Not one of the sweeps that another sweeper searches."""
    return "direction" not in content(study)["hydra"]["sweeper"]


STUDIES = sorted(path.stem for path in SWEEP.glob("*.yaml") if is_grid(path.stem))


def grid_of(study: str) -> dict[str, list[str]]:
    """The options of each key that the study varies."""
    grid = content(study)["hydra"]["sweeper"]["params"]
    return {key: [each.strip() for each in str(text).split(",")] for key, text in grid.items()}


def untuned(study: str) -> list[str]:
    """Where the study leaves the regime to the user, nothing is done to the backbone."""
    decided = {"regime", "preset"} & set(grid_of(study))
    trains = configure(compose([f"sweep={study}"]), {}).trains
    return ["regime=zero_shot"] if trains and not decided else []


def needs_model(study: str) -> bool:
    """Does it vary how a backbone is tuned or held to a grammar? The scripted one cannot be."""
    tuned = any(key.startswith("regime.") for key in grid_of(study)) and bool(untuned(study))
    return tuned or any(key.startswith("decoding.") for key in grid_of(study))


def scriptable(study: str, key: str, option: str) -> bool:
    """Can the scripted backbone do it? It cannot be tuned, and other methods have none."""
    words = [f"sweep={study}", *untuned(study), f"{key}={option}"]
    experiment = configure(compose(words), {})
    decides = key in ("regime", "preset")
    beyond = experiment.trains or isinstance(experiment.parts.get("decoding"), Constrained)
    return "backbone" in experiment.method.needs and not (decides and beyond)


def small_grid(study: str) -> dict[str, list[str]]:
    """Two options of each key, without those that need a model or other files."""
    return {
        key: [each for each in options if scriptable(study, key, each)][:2]
        for key, options in grid_of(study).items()
        if key not in ("dataset", "backbone")
    }


def own_knobs(study: str) -> list[str]:
    """Takes away the knobs of its corpora that the sample corpus does not have."""
    known = compose([]).dataset
    return [f"~dataset.{key}" for key in content(study).get("dataset", {}) if key not in known]


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    handlers = list(logging.root.handlers)
    yield
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()


@pytest.mark.parametrize("study", [each for each in STUDIES if not needs_model(each)])
def test_a_study_runs_small_on_the_scripted_backbone(
    study: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = small_grid(study)
    assert all(grid.values())
    words = [f"{key}={','.join(listed)}" for key, listed in grid.items()]
    words += [*untuned(study), *own_knobs(study)]
    ran = main(
        ["run", f"sweep={study}", "backbone=scripted", *words, *SMALL, f"paths.output={tmp_path}"]
    )
    assert ran == 0, capsys.readouterr()
    records = [json.loads(path.read_text("utf-8")) for path in tmp_path.glob("runs/*/run.json")]
    assert len(records) == len(list(product(*grid.values())))
    assert {each["status"] for each in records} == {"FINISHED"}
    assert {each["experiment"] for each in records} == {content(study)["experiment"]}
    assert len({each["config_hash"] for each in records}) == len(records)


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_says_its_question_and_its_command(study: str) -> None:
    head = (SWEEP / f"{study}.yaml").read_text(encoding="utf-8").partition("\nhydra:")[0]
    assert re.search(r"^# Question: .{20,}", head, re.MULTILINE)
    assert f"# chmed-ner run sweep={study}" in head


def test_the_readme_names_every_study() -> None:
    readme = (SWEEP.parent / "README.md").read_text(encoding="utf-8")
    for path in SWEEP.glob("*.yaml"):
        assert f"`{path.stem}`" in readme, path.stem
