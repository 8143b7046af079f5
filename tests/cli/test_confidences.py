"""Confidences of a run: calibrated on validation, measured, kept to by `predict`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chmed_ner
from chmed_ner.cli import main
from chmed_ner.errors import InputError

SAMPLE = Path(chmed_ner.__file__).parent / "data" / "sample"
FILES = ("calibration.json", "confidences.jsonl")


def trained(output: Path, *words: str) -> Path:
    """A lexicon of two genres, its validation of WA, tested on WA and FT; returns its directory."""
    train = f"[{SAMPLE / 'train_SM.txt'},{SAMPLE / 'train_FT.txt'}]"
    code = main(
        [
            "run", "method=lexicon", "dataset=column_files", f"dataset.train={train}",
            f"dataset.validation={{WA: {SAMPLE / 'train_WA.txt'}}}",
            f"dataset.test={{WA: {SAMPLE / 'test_WA.txt'}, FT: {SAMPLE / 'test_FT.txt'}}}",
            "tracking=dry", "figures=[png]", f"paths.output={output}", *words,
        ]
    )  # fmt: skip
    assert code == 0
    (directory,) = (output / "runs").iterdir()
    return directory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("calibrated"))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def metrics(directory: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((directory / "metrics.json").read_text())
    return found


def test_a_run_calibrates_measures_and_draws_its_confidences(run: Path) -> None:
    found = metrics(run)
    assert found["confidence/calibrated"] == found["confidence/known"] == 1
    for genre in ("", "WA/", "FT/"):
        for figure in ("calibration_error", "brier", "average_precision"):
            assert f"confidence/{genre}{figure}" in found
            assert f"confidence/{genre}raw_{figure}" in found
    assert found["confidence/WA/average_precision"] <= found["test/WA/recall"]
    assert (
        found["confidence/validation_calibration_error"]
        < found["confidence/validation_raw_calibration_error"]
    )
    assert (run / "analysis" / "reliability.png").stat().st_size > 5000
    assert "confidence</label" not in (run / "report.html").read_text()
    assert "confidence <select" in (run / "report.html").read_text()


def test_predictions_hold_calibrated_confidences_and_the_raw_ones_are_kept(run: Path) -> None:
    raw = {(each["split"], each["id"]): each["entities"] for each in lines(run / FILES[1])}
    predictions = lines(run / "predictions.jsonl")
    assert {(each["split"], each["id"]) for each in predictions} == set(raw)
    changed = 0
    for each in predictions:
        kept = raw[each["split"], each["id"]]
        assert [e["type"] for e in each["entities"]] == [type_ for type_, _, _ in kept]
        changed += sum(
            e["confidence"] != before
            for e, (_, before, _) in zip(each["entities"], kept, strict=True)
        )
    assert changed > 100


def test_predict_says_what_the_run_said(run: Path) -> None:
    with chmed_ner.load(run) as model:
        for each in lines(run / "predictions.jsonl")[:20]:
            (found,) = model.predict([each["sentence"]])
            assert [(s.start, s.end, s.type, s.confidence) for s in found.entities] == [
                (e["start"], e["end"], e["type"], e["confidence"]) for e in each["entities"]
            ]


def test_a_promise_keeps_the_surest_and_says_what_it_costs(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [each["sentence"] for each in lines(run / "predictions.jsonl")]
    with chmed_ner.load(run) as model:
        everything = {(n, e) for n, found in enumerate(model.extract(texts)) for e in found}
    with chmed_ner.load(run, recall=0.1, certainty=0.9) as model:
        kept = {(n, e) for n, found in enumerate(model.extract(texts)) for e in found}
    assert 0 < len(kept) < len(everything)
    assert kept < everything
    said = caplog.text
    assert (
        "recall at least 0.1, with certainty 0.9, in sentences drawn like validation's (WA;" in said
    )
    assert "genre FT is not in validation, so the promise does not cover it: precision" in said
    assert "genre WA is not" not in said


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"precision": 0.99}, "precision=0.99 cannot be promised with certainty 0.95 by 110 valid"),
        ({"recall": 0.9}, "recall=0.9 cannot be promised.*the most that can is 0.[12]"),
        ({"precision": 90}, "precision=90: give a number between 0 and 1"),
        ({"recall": 0.3, "certainty": 1.0}, "certainty=1.0: give a number"),
        ({"precision": 0.9, "recall": 0.5}, "give one of them"),
    ],
)
def test_what_validation_cannot_show_is_refused(
    run: Path, asked: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        chmed_ner.load(run, **asked)


def test_the_command_promises_too(run: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    text = tmp_path / "text.txt"
    text.write_text("頭痛發燒\n", encoding="utf-8")
    ended = command("predict", "--run", run, text, "--recall", "0.1")
    assert ended.code == 0, ended.err
    ended = command("predict", "--run", run, text, "--precision", "0.99")
    assert ended.code == 2
    assert "the most that can is" in ended.err or "no target can be" in ended.err
    ended = command("predict", "backbone=scripted", text, "--precision", "0.9")
    assert ended.code == 2
    assert "name one with --run" in ended.err


def test_too_small_a_validation_leaves_confidences_raw_and_marks_them(tmp_path: Path) -> None:
    directory = trained(tmp_path, "limit.validation=10")
    said = (directory / "run.log").read_text(encoding="utf-8")
    assert said.count("confidences stay raw: validation has") == 1
    assert metrics(directory)["confidence/calibrated"] == 0
    assert "100 are needed" in json.loads((directory / FILES[0]).read_text())["reason"]
    raw = {(each["split"], each["id"]): each["entities"] for each in lines(directory / FILES[1])}
    for each in lines(directory / "predictions.jsonl"):
        kept = [round(confidence, 6) for _, confidence, _ in raw[each["split"], each["id"]]]
        assert [e["confidence"] for e in each["entities"]] == kept
    assert "confidence (not calibrated) <select" in (directory / "report.html").read_text()


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_refused_by_name(run: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / name).write_text('{"every": 1}\n')
    with pytest.raises(InputError, match=name):
        chmed_ner.load(copy)


def test_an_exported_model_answers_with_the_run_s_confidences(run: Path, tmp_path: Path) -> None:
    import mlflow.pyfunc

    from chmed_ner.run import save_model

    save_model(run, tmp_path / "model")
    each = next(e for e in lines(run / "predictions.jsonl") if e["entities"])
    (found,) = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict([each["sentence"]])
    assert found["entities"] == each["entities"]
