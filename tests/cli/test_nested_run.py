"""A nested corpus from its file to its scores and its report."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import SCRIPTED, Command

LINES = """\
急性胃炎引起胃痛。|||0 3 dis|||2 2 bod|||6 7 sym|||6 6 bod|||
患者没有不适。|||
肺部CT显示肺炎。|||0 3 pro|||0 1 bod|||6 7 dis|||
"""
"""Three sentences in CMeEE's form: six entities, three of them inside another."""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "test.txt"
    path.write_text(LINES, encoding="utf-8")
    return path


@pytest.mark.parametrize("prompt", ["inline", "extraction", "json"])
def test_perfect_answers_score_by_exact_spans(
    command: Command, corpus: Path, tmp_path: Path, prompt: str
) -> None:
    ended = command(
        "run", *SCRIPTED, f"prompt={prompt}", "dataset=column_files", "dataset.format=pipes",
        f"dataset.test={corpus}", "labels@dataset.labels=cmeee", f"paths.output={tmp_path / 'out'}",
    )  # fmt: skip
    assert ended.code == 0, ended.text
    (run,) = (tmp_path / "out" / "runs").iterdir()
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test/f1"] == 100
    for part in ("outermost", "inside"):
        for figure in ("precision", "recall", "f1"):
            assert metrics[f"nested/{part}/{figure}"] == 100
    assert "test/tag_f1" not in metrics
    lines = (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    assert [e["mention"] for e in first["entities"]] == [
        "急性胃炎",
        "胃",
        "胃痛",
        "胃",
    ]
    assert not list(run.rglob("*BIO*"))
    assert "急性胃炎" in (run / "report.html").read_text(encoding="utf-8")
    again = command("rescore", str(run), "restoration=in_order", "tracking=dry")
    assert again.code == 0, again.text


def test_what_is_missed_inside_another_is_told_apart(
    command: Command, corpus: Path, tmp_path: Path
) -> None:
    outer = ["BIIIOOBIO", "OOOOOOO", "BIIIOOBIO"]
    types = [("dis", "sym"), (), ("pro", "dis")]
    rows = []
    for line, marks, named in zip(LINES.splitlines(), outer, types, strict=True):
        each, type_ = iter(named), ""
        for character, mark in zip(line.split("|||")[0], marks, strict=True):
            type_ = next(each) if mark == "B" else type_
            rows.append(f"{character} O" if mark == "O" else f"{character} {mark}-{type_}")
        rows.append("")
    predictions = tmp_path / "other.txt"
    predictions.write_text("\n".join(rows), encoding="utf-8")
    ended = command(
        "run", "method=file", f"method.files={{all: {predictions}}}", "dataset=column_files",
        "dataset.format=pipes", f"dataset.test={corpus}", "labels@dataset.labels=cmeee",
        f"paths.output={tmp_path / 'out'}",
    )  # fmt: skip
    assert ended.code == 0, ended.text
    (run,) = (tmp_path / "out" / "runs").iterdir()
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test/precision"] == 100
    assert metrics["test/recall"] == pytest.approx(100 * 4 / 7)
    assert metrics["nested/outermost/recall"] == 100
    assert metrics["nested/inside/recall"] == 0


@pytest.mark.parametrize("method", ["lexicon", "crf"])
def test_flat_methods_learn_what_is_outermost_and_say_so(
    command: Command,
    corpus: Path,
    tmp_path: Path,
    method: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = tmp_path / "train.txt"
    other.write_text(
        "".join(LINES.replace("。", f"，第{n}例。") for n in range(30)), encoding="utf-8"
    )
    ended = command(
        "run", f"method={method}", "dataset=column_files", "dataset.format=pipes",
        f"dataset.test={corpus}", f"dataset.train={other}", "labels@dataset.labels=cmeee",
        f"paths.output={tmp_path / 'out'}",
    )  # fmt: skip
    assert ended.code == 0, ended.text
    assert "learns no entities inside others" in ended.text + caplog.text
    (run,) = (tmp_path / "out" / "runs").iterdir()
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["nested/inside/recall"] == 0
    assert metrics["nested/outermost/recall"] > 50
