"""`sweep=families`: one cell a family, each with its own parts."""

import json
from pathlib import Path

import pytest

from chmed_ner.cli import main
from chmed_ner.run.config import compose, configure

FITTED = {"lexicon": "LexiconMethod", "crf": "CRF", "tagger": "TaggerMethod"}


@pytest.mark.parametrize("preset", ["lexicon", "crf", "tagger", "zero_shot", "lora"])
def test_a_cell_is_its_family(preset: str) -> None:
    experiment = configure(compose(["sweep=families", f"preset={preset}"]), {})
    assert experiment.experiment == "families"
    assert experiment.keeps_validation  # so that it can vote
    assert type(experiment.method).__name__ == FITTED.get(preset, "Generative")
    assert ("regime" in experiment.parts) is (preset not in FITTED)
    if "regime" in experiment.parts:
        assert experiment.regime.name == preset


def test_a_family_is_not_mixed_with_another_s_parts() -> None:
    from chmed_ner.errors import InputError

    with pytest.raises(InputError, match="backbone"):
        configure(compose(["preset=crf", "backbone=scripted"]), {})


SMALL = ("limit.train=24", "limit.validation=4", "limit.test=2", "dataset.genres=[WA]")


def cells(output: Path) -> set[tuple[str, ...]]:
    """The classes of method and regime of every run, all of which must have finished."""
    records = [json.loads(path.read_text("utf-8")) for path in output.glob("runs/*/run.json")]
    assert all(each["status"] == "FINISHED" for each in records)
    chosen = [[each["config"][group] for group in ("method", "regime")] for each in records]
    return {
        tuple(node["_target_"].rpartition(".")[2] if node else "none" for node in nodes)
        for nodes in chosen
    }


WITHOUT_MODEL = {("LexiconMethod", "none"), ("CRF", "none")}


def test_the_families_without_a_language_model_in_small(tmp_path: Path, capsys) -> None:
    words = ["sweep=families", "preset=lexicon,crf", "tracking=dry", f"paths.output={tmp_path}"]
    assert main(["run", *words, *SMALL]) == 0, capsys.readouterr()
    assert cells(tmp_path) == WITHOUT_MODEL
    runs = ",".join(str(path.parent) for path in sorted(tmp_path.glob("runs/*/run.json")))
    vote = ["run", "method=ensemble", f"method.runs=[{runs}]", "tracking=dry", *SMALL]
    assert main([*vote, f"paths.output={tmp_path}"]) == 0, capsys.readouterr()
    assert cells(tmp_path) == {*WITHOUT_MODEL, ("Ensemble", "none")}


@pytest.mark.slow
def test_every_family_in_small(tmp_path: Path, capsys) -> None:
    """The whole grid on the embedded backbone."""
    words = ["sweep=families", "tracking=dry", f"paths.output={tmp_path}"]
    assert main(["run", *words, *SMALL]) == 0, capsys.readouterr()
    generative = {("Generative", "ZeroShot"), ("Generative", "LoRA")}
    assert cells(tmp_path) == {*WITHOUT_MODEL, ("TaggerMethod", "none"), *generative}
