"""What killed processes and careless hands leave: half lines, broken records, strange folders."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.backbone.completions import CompletionStore
from chmed_ner.errors import InputError
from chmed_ner.track import RunRecord, Tracker, find_run
from chmed_ner.track.tracker import read_history

NESTED = "[" * 100_000


def test_half_a_line_is_cut_before_a_history_goes_on(tmp_path: Path) -> None:
    Tracker(tmp_path).log({"train/loss": 1.0}, 1)
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"metric": "train/loss", "va')
    Tracker(tmp_path).log({"train/loss": 3.0}, 3)
    assert [each.step for each in read_history(tmp_path)] == [1, 3]


@pytest.mark.parametrize(
    "line", [NESTED, "[]", '{"metric": 1, "value": null, "step": 1, "time": 1}']
)
def test_a_history_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "history.jsonl").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1: not a metric's value"):
        read_history(tmp_path)


@pytest.fixture
def output(finished_run: Path, tmp_path: Path) -> Path:
    """An output directory with one good run."""
    shutil.copytree(finished_run, tmp_path / "runs" / finished_run.name)
    return tmp_path


@pytest.mark.parametrize(
    "content",
    ["", "{", NESTED, "[]", '{"name": "x", "config_hash": "y", "config": []}', "counts", "seconds"],
)
def test_a_broken_record_hides_no_other_run(
    output: Path, content: str, caplog: pytest.LogCaptureFixture, scripted: Any
) -> None:
    (good,) = (output / "runs").iterdir()
    broken = output / "runs" / f"99990101-000000_broken_{good.name[-8:]}"
    broken.mkdir()
    if content.isalpha():
        record = json.loads((good / "run.json").read_text(encoding="utf-8"))
        content = json.dumps({**record, content: None if content == "counts" else "5 s"})
    (broken / "run.json").write_text(content, encoding="utf-8")
    assert find_run("latest", output=output) == good
    assert str(broken / "run.json") in caplog.text
    with pytest.raises(InputError, match=r"run\.json"):
        RunRecord.read(broken)
    ended = scripted("-m", "seed=13", f"paths.output={output}", "limit.test=1")
    assert ended.code == 0, ended.text


def test_answers_that_contradict_each_other_are_reported(
    output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = find_run("latest", output=output) / "completions.jsonl"
    first, *rest = file.read_text(encoding="utf-8").splitlines()
    other = json.dumps({**json.loads(first), "text": "无中生有-疾病"})
    file.write_text("\n".join([first, first, *rest, ""]), encoding="utf-8")
    caplog.clear()
    CompletionStore(file)
    assert caplog.messages == []
    file.write_text("\n".join([first, *rest, other, ""]), encoding="utf-8")
    CompletionStore(file)
    assert f"{file}: 1 sentences have answers that contradict each other" in caplog.text
    file.write_text(f"{NESTED}\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1: not a completion"):
        CompletionStore(file)


def test_a_folder_that_is_not_empty_and_not_ours_is_refused(scripted: Any, tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "metrics.json").write_text("mine", encoding="utf-8")
    words = ("limit.test=1", f"paths.output={tmp_path}", f"hydra.run.dir={folder}")
    ended = scripted(*words)
    assert ended.code == 2
    assert f"hydra.run.dir={folder}: holds metrics.json" in ended.text
    assert [path.name for path in folder.iterdir()] == ["metrics.json"]
    (folder / "metrics.json").unlink()
    assert scripted(*words).code == 0


def test_a_place_that_cannot_be_written_is_one_line(command: Any, output: Path) -> None:
    run = find_run("latest", output=output)
    (run / "rescore").write_text("in the way", encoding="utf-8")
    ended = command("rescore", str(run), "tracking=dry")
    assert ended.code == 1
    assert ended.err.startswith(f"error: {run / 'rescore'}")
    assert ended.err.count("\n") == 1


def test_control_characters_never_reach_the_terminal(
    command: Any, scripted: Any, output: Path
) -> None:
    ended = scripted('name="a\x1b[31mb"', f"paths.output={output}")
    assert ended.code == 2
    run = find_run("latest", output=output)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({**record, "name": "\x1b]0;x\x07"}), encoding="utf-8")
    compared = command("compare", str(run), str(run))
    assert compared.code == 0, compared.text
    refused = command("predict", "--run", "a\x1b[2Jb")
    for text in (ended.text, compared.text, refused.text):
        assert "\\x1b" in text
        assert "\x1b" not in text


def test_an_experiment_stays_inside_the_store(empty_store: Path, tmp_path: Path) -> None:
    from chmed_ner.track import Store

    database = shutil.copy(empty_store, tmp_path / "mlflow.db")
    store = Store(f"sqlite:///{database}", tmp_path / "mlartifacts")
    client = store.client()
    for name in ("..", ".", "../up"):
        place = client.get_experiment(store.experiment(client, name)).artifact_location
        assert Path(place.removeprefix("file://")).resolve().parent == tmp_path / "mlartifacts"
