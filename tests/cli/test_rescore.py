"""`chmed-ner rescore`: another reading of the same completions, without a model."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest


def metrics(folder: Path) -> dict[str, float]:
    """A folder's metrics."""
    content = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    shutil.copytree(finished_run, tmp_path / "run")
    return tmp_path / "run"


def rescored(run: Path) -> Path:
    """The one rescoring of a run."""
    (folder,) = (run / "rescore").iterdir()
    return folder


@pytest.mark.parametrize("policy", ["in_order", "all_occurrences", "first"])
def test_another_policy_scores_what_the_run_foretold(command, run: Path, policy: str) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    ended = command("rescore", str(run), f"restoration={policy}", "tracking=dry")
    assert ended.code == 0, ended.text
    folder, old = rescored(run), metrics(run)
    new = metrics(folder)
    assert str(folder) in ended.out
    assert f"{new['test/f1']:.2f}" in ended.out
    assert new["test/f1"] == old[f"restore/{policy}/f1"]
    assert new["restore/longest_first/f1"] == old["test/f1"]
    assert {path.name for path in folder.iterdir()} == {
        "predictions.jsonl", "submission", "metrics.json", "run.json", "report.html",
        "analysis", "history.jsonl",
    }  # fmt: skip
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert record["config"]["restoration"]["policy"] == policy
    assert record["config_hash"][:8] == folder.name
    assert record["status"] == "FINISHED"
    assert all(path.read_bytes() == content for path, content in before.items())


def test_validation_is_read_again_too(scripted, command, tmp_path: Path) -> None:
    """What a rescoring calibrates on; an ensemble may vote on it."""
    assert scripted("validate=true", f"paths.output={tmp_path}").code == 0
    (directory,) = (tmp_path / "runs").iterdir()
    assert command("rescore", str(directory), "tracking=dry").code == 0
    name = "predictions.jsonl"
    assert (rescored(directory) / name).read_bytes() == (directory / name).read_bytes()
    assert b'"split": "validation"' in (directory / name).read_bytes()


def test_without_a_change_the_scores_are_the_run_s(command, run: Path) -> None:
    assert command("rescore", str(run), "tracking=dry", "figures=[svg]").code == 0
    old, new = metrics(run), metrics(rescored(run))
    costs = ("time/", "tokens/", "cost/", "memory/")
    assert new == {name: value for name, value in old.items() if not name.startswith(costs)}
    files = ["predictions.jsonl", "submission/FT.txt"]
    files += [f"analysis/{path.name}" for path in (run / "analysis").iterdir()]
    assert len(files) == 8
    for file in files:
        assert (rescored(run) / file).read_bytes() == (run / file).read_bytes()
    figures = {path.stem for path in (rescored(run) / "analysis").glob("*.svg")}
    assert figures == {"confusion", "errors_by_type", "f1_by_length", "f1_by_string"}
    assert not [*(rescored(run) / "analysis").glob("*.p*")]


def test_another_reading_of_the_answers(command, run: Path) -> None:
    assert command("rescore", str(run), "prompt.answer.order=text_order", "tracking=dry").code == 0
    old, new = metrics(run), metrics(rescored(run))
    name = "restore/in_order/target_ceiling_f1"
    assert new[name] == pytest.approx(new["restore/in_order/ceiling_f1"])
    assert new[name] > old[name]


def test_it_is_a_run_of_its_own_in_mlflow(command, finished_run: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    shutil.copytree(finished_run.parents[1], tmp_path / "outputs")
    run = tmp_path / "outputs" / "runs" / finished_run.name
    ended = command("rescore", str(run), "restoration=first")
    assert ended.code == 0, ended.text
    store = tmp_path / "outputs" / "mlflow.db"
    client = MlflowClient(f"sqlite:///{store}")
    record = json.loads((rescored(run) / "run.json").read_text(encoding="utf-8"))
    original = json.loads((run / "run.json").read_text(encoding="utf-8"))
    found: Any = client.get_run(record["mlflow_run_id"])
    assert found.info.run_id != original["mlflow_run_id"]
    assert found.info.status == "FINISHED"
    assert found.data.tags["rescore_of"] == original["mlflow_run_id"]
    assert found.data.tags["restoration"] == "first"
    assert found.data.tags["dataset"] == "sample"
    assert found.data.metrics == metrics(rescored(run))
    assert client.get_run(original["mlflow_run_id"]).data.metrics == metrics(run)


@pytest.mark.parametrize(
    "override",
    [
        "seed=14", "backbone=scripted", "backbone.noise=0.5", "prompt=extraction",
        "prompt.wording.simplified.instruction=x", "dataset.genres=[FT]", "limit.test=3",
        "regime=lora", "script=traditional", "paths.output=/elsewhere", "restoration", "",
    ],
)  # fmt: skip
def test_nothing_else_may_change(command, run: Path, override: str) -> None:
    ended = command("rescore", str(run), override)
    assert ended.code == 2
    assert "only restoration, prompt.answer, tracking, language, figures may change" in ended.err
    assert not (run / "rescore").exists()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("restoration=longest", "longest_first"),
        ("restoration.policy=longest", "restoration.policy='longest'"),
        ("restoration.order=up", "no key restoration.order"),
        ("prompt.answer.order=[", "prompt.answer.order=["),
        ("prompt.answer.separator=ab", "prompt.answer.separator=ab: give a hyphen"),
        ("tracking=cloud", "tracking/cloud"),
    ],
)
def test_a_bad_value_is_refused(command, run: Path, override: str, says: str) -> None:
    ended = command("rescore", str(run), override)
    assert ended.code == 2
    assert says in ended.err
    assert "Traceback" not in ended.text
    assert not (run / "rescore").exists()


def test_a_run_that_is_not_finished_is_refused(command, run: Path) -> None:
    file = run / "completions.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8")
    ended = command("rescore", str(run), "tracking=dry")
    assert ended.code == 2
    assert json.loads(lines[-1])["id"] in ended.err
    assert "resume=" in ended.err


def test_a_changed_gold_file_is_refused(command, scripted, tmp_path: Path) -> None:
    gold = tmp_path / "gold.txt"
    gold.write_text("頭 B-SYMP\n痛 I-SYMP\n。 O\n\n", encoding="utf-8")
    words = ("dataset=column_files", f"dataset.test={{FT: {gold}}}", f"paths.output={tmp_path}")
    assert scripted(*words).code == 0
    (own,) = (tmp_path / "runs").iterdir()
    gold.write_text("頭 B-DISE\n痛 I-DISE\n。 O\n\n", encoding="utf-8")
    ended = command("rescore", str(own))
    assert ended.code == 2
    assert f"{gold}: has changed since the run" in ended.err
