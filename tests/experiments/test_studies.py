"""Every named grid of `experiments/sweep`, run small: none is listed here by name."""

import json
import logging
import os
import re
import shlex
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
    readme = (SWEEP / "README.md").read_text(encoding="utf-8")
    for path in SWEEP.glob("*.yaml"):
        assert f"`{path.stem}`" in readme, path.stem


def header_commands() -> list[tuple[str, list[str]]]:
    """Every study with the words of each command that its file begins with."""
    found = []
    for path in sorted(SWEEP.glob("*.yaml")):
        head = re.sub(r"\\\n#\s*", "", path.read_text(encoding="utf-8"))
        for line in re.findall(r"^# chmed-ner run (sweep=.*)$", head, re.MULTILINE):
            command = re.split(r"\s{2,}", line)[0]  # what it needs may follow
            found.append((path.stem, shlex.split(command)))
    return found


def in_small(study: str, words: list[str]) -> list[str]:
    """The command with the scripted backbone, few sentences, and one cell."""
    cell = {key: options[:1] for key, options in small_grid(study).items()}
    for word in words:
        key, _, value = word.partition("=")
        if key in ("preset", "regime"):
            cell[key] = [each for each in value.split(",") if scriptable(study, key, each)][:1]
    if "dataset" in grid_of(study):
        cell["dataset"] = grid_of(study)["dataset"][:1]
    small = {**{key: options[0] for key, options in cell.items()}, "backbone": "scripted"}
    small |= {"limit.train": "40", "limit.validation": "4", "limit.test": "1", "tracking": "dry"}
    kept = [word for word in words if word.partition("=")[0] not in small]
    return [*kept, *untuned(study), *(f"{key}={value}" for key, value in small.items())]


@pytest.mark.parametrize(("study", "words"), header_commands(), ids=lambda each: " ".join(each))
def test_the_commands_of_a_study_s_file_run(
    study: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_corpora = "dataset" in content(study) or "dataset=" in " ".join(words)
    if needs_corpora and not os.environ.get("CHMED_NER_DATA"):
        pytest.skip("CHMED_NER_DATA is not set")
    if not is_grid(study):  # its sweeper is an extra's, which tests/cli/test_launchers.py brings
        assert main(["run", *words]) == 2
        assert "chmed-ner[optuna]" in capsys.readouterr().err
    elif needs_model(study):
        assert main(["run", *words, "--cfg", "job", "--runs-in", str(tmp_path)]) == 0
    else:
        ran = main(["run", *in_small(study, words), "--runs-in", str(tmp_path)])
        assert ran == 0, capsys.readouterr()
        (run,) = tmp_path.glob("runs/*/metrics.json")
        assert "test/f1" in run.read_text(encoding="utf-8")
