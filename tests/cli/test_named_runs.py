"""`latest` and `best`: what they take, and what they say of it."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from chmed_ner.errors import InputError
from chmed_ner.track import find_run


def copy_of(run: Path, output: Path, name: str, f1: float | None, started: str) -> Path:
    """The finished run again, with another time and validation F1."""
    folder = output / "runs" / name
    shutil.copytree(run, folder)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    record |= {"started": started, "name": name}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    values = [] if f1 is None else [f1 - 1, f1]
    lines = [
        json.dumps({"metric": "train/dev_f1", "value": each, "step": step, "time": 0})
        for step, each in enumerate(values)
    ]
    (folder / "history.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


@pytest.fixture
def output(finished_run: Path, tmp_path: Path) -> Path:
    """Three runs of one corpus, and the best one of another."""
    for name, f1, started in (("good", 70.0, "1"), ("bad", 60.0, "2"), ("unjudged", None, "3")):
        copy_of(finished_run, tmp_path, name, f1, f"2026-01-0{started}T00:00:00")
    other = copy_of(finished_run, tmp_path, "other", 99.0, "2026-01-01T00:00:00")
    record = json.loads((other / "run.json").read_text(encoding="utf-8"))
    record["choices"]["dataset"] = "rocling2022"
    (other / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return tmp_path


def test_each_says_once_which_run_it_took(output: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert find_run("latest", output=output).name == "unjudged"
        assert find_run("best", output=output).name == "good"
        assert find_run(str(output / "runs" / "bad"), output=output).name == "bad"
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"RUN=latest: {output}/runs/unjudged (unjudged, of 2026-01-03T00:00)",
        f"RUN=best: {output}/runs/good (good, of 2026-01-01T00:00, validation F1 70.00)",
    ]


def test_best_needs_a_validation_f1(output: Path) -> None:
    for name in ("good", "bad"):
        (output / "runs" / name / "history.jsonl").unlink()
    with pytest.raises(InputError, match=r"no finished run .* has a validation F1"):
        find_run("best", output=output)


def test_commands_take_best_and_say_it(
    command, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended = command("compare", "best", "latest", "--runs-in", str(output))
    assert ended.code == 0, ended.text
    assert f"RUN_A=best: {output}/runs/good" in caplog.text
    assert f"RUN_B=latest: {output}/runs/unjudged" in caplog.text


def test_rescore_names_the_newest_run_that_it_can_take(command, output: Path) -> None:
    words = ("run", "method=lexicon", "tracking=dry", "limit.test=1", "--runs-in", str(output))
    assert command(*words).code == 0
    ended = command("rescore", "latest", "--runs-in", str(output))
    assert ended.code == 2
    assert "sample-lexicon-s13 has no completions" in ended.err
    assert f"has some: {output}/runs/unjudged" in ended.err
