"""Records of runs that somebody edited: one line that names file and cure, never a traceback."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import SCRIPTED, Command, succeed
from tests.cli.test_tracking import runs_in

DEEP = json.loads("[" * 400 + "]" * 400)
LINE = "[" * 100_000 + "]" * 100_000
BROKEN: dict[str, Any] = {
    "counts": None,
    "seconds": "long",
    "seed": 1.5,
    "config": [],
    "config.deep": DEEP,
    "config.dataset": None,
    "config.tracking": [],
    "config.limit.test": "two",
    "weights": None,
    "counts.leaked": None,
    "training_files": ["a"],
    "test_files": {"gold": 1},
    "started": 5,
    "status": None,
    "name": {},
}
LINES = {
    "history.jsonl": [LINE, "[]", '{"metric": "train/dev_f1", "value": "x", "step": 1, "time": 1}'],
    "completions.jsonl": [LINE, "[]", "null"],
    "predictions.jsonl": [LINE, "[]", "null", '{"id": [], "split": {}}'],
    "metrics.json": [LINE, "[]", '{"test/f1": "high"}', '{"test/f1": 1}'],
    "unsent.json": [LINE, "[]", '{"uri": 1, "reason": null}'],
}
CASES = [
    *(("run.json", key, value) for key, value in BROKEN.items()),
    *((file, "", text) for file, texts in LINES.items() for text in texts),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output directory of a finished scripted run."""
    output = tmp_path_factory.mktemp("made")
    succeed("run", *SCRIPTED, "limit.test=2", "tracking=dry", f"paths.output={output}")
    return output


def broken(made: Path, output: Path, file: str, key: str, value: Any) -> Path:
    """A copy of the run, one of its files broken, in `output`; returns the run's directory."""
    shutil.copytree(made / "runs", output / "runs")
    (run,) = (output / "runs").iterdir()
    if not key:
        (run / file).write_text(value + "\n", encoding="utf-8")
        return run
    content: Any = json.loads((run / file).read_text(encoding="utf-8"))
    node, *parts = content, *key.split(".")
    for part in parts[:-1]:
        node = node[part]
    node[parts[-1]] = value
    (run / file).write_text(json.dumps(content), encoding="utf-8")
    return run


@pytest.mark.parametrize(
    ("file", "key", "value"),
    CASES,
    ids=[f"{file}-{key or n}" for n, (file, key, _) in enumerate(CASES)],
)
def test_no_command_ends_in_a_traceback(
    command: Command, made: Path, tmp_path: Path, file: str, key: str, value: Any
) -> None:
    run = broken(made, tmp_path, file, key, value)
    place = f"paths.output={tmp_path}"
    ended = [
        command("compare", str(run), str(run)),
        command("run", "-m", *SCRIPTED, "seed=13", "limit.test=2", "tracking=dry", place),
        command("report", "--sync", place),
    ]
    text = tmp_path / "text"
    text.write_text("我頭痛\n", encoding="utf-8")
    opened = [
        command("rescore", str(run), "restoration=first"),
        command("predict", "--run", str(run), str(text)),
    ]
    for each in opened if file == "run.json" else ():
        assert (each.code, each.text.count("\n")) == (2, 1), each.text
    for each in [*ended, *opened]:
        assert "Traceback" not in each.text
        assert each.code in (0, 1, 2), each.text
        assert each.code == 0 or f"{run / file}" in each.text, each.text


def test_a_broken_record_names_file_key_and_cure(
    command: Command, made: Path, tmp_path: Path
) -> None:
    run = broken(made, tmp_path, "run.json", "counts.leaked", None)
    ended = command("compare", str(run), str(run))
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert f"{run / 'run.json'}: not the record of a run: counts cannot be" in ended.err
    assert "restore it, or move it away" in ended.err


def test_a_broken_record_in_mlflow_is_left_out_with_one_warning(
    command: Command, empty_store: Path, tmp_path: Path
) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    place = f"paths.output={tmp_path}"
    for seed in ("1", "2", "3"):
        ended = command("run", *SCRIPTED, f"seed={seed}", place)
        assert ended.code == 0, ended.text
    records = sorted(tmp_path.glob("mlartifacts/*/*/artifacts/run.json"))
    broken: list[Callable[[dict[str, Any]], Any]] = [
        lambda content: {**content, "test_files": ["gold"]},
        lambda content: {**content, "training_files": {"a": {}}},
    ]
    for record, breaks in zip(records[1:], broken, strict=True):
        record.write_text(json.dumps(breaks(json.loads(record.read_text()))))
    ended = command("report", place)
    assert ended.code == 0, ended.text
    assert "2 with a broken run.json" in ended.out
    for record in records[1:]:
        assert ended.text.count(f"run.json of run {record.parents[1].name} in MLflow") == 1
    assert len(runs_in(f"sqlite:///{tmp_path / 'mlflow.db'}")) == 3
