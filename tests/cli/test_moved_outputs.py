"""A copied output directory: everything is written to the copy, nothing to where it came from."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.run import at_home
from chmed_ner.track import Store
from chmed_ner.track.copied import moved

RUN = ("run", "backbone=scripted", "regime=zero_shot", "limit.test=2")


def state(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """When each file below a folder was written, and what it holds."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def tracked(output: Path) -> list[Any]:
    """The runs of the output directory's own store."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    ids = [each.experiment_id for each in client.search_experiments()]
    return list(client.search_runs(ids))


def test_nothing_is_written_to_the_place_that_outputs_were_copied_from(
    command, finished: tuple[Path, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = finished[0], tmp_path / "病歷" / "copied outputs"
    shutil.copytree(old, new)
    (run,) = [path for path in (new / "runs").iterdir() if path.is_dir()]
    before, count = state(old), len(tracked(new))
    names = {path.name for path in old.iterdir()}

    rescored = command("rescore", "latest", "--runs-in", str(new), "restoration=first")
    assert rescored.code == 0, rescored.text
    assert "was copied or moved" in caplog.text
    caplog.clear()
    again = command(*RUN, f'paths.output="{new}"')
    assert again.code == 0, again.text
    assert "was copied or moved" not in caplog.text
    reported = command("report", "--partial", f'paths.output="{new}"')
    assert reported.code == 0, reported.text
    (run / "unsent.json").write_text(
        json.dumps({"uri": f"sqlite:///{old / 'mlflow.db'}", "reason": "away"}), encoding="utf-8"
    )
    assert command("report", "--sync", f'paths.output="{new}"').code == 0

    assert state(old) == before
    assert {path.name for path in old.iterdir()} == names
    found = tracked(new)
    assert len(found) == count + 2
    place = (new / "mlartifacts").as_uri()
    assert all(each.info.artifact_uri.startswith(f"{place}/") for each in found)
    (folder,) = (run / "rescore").iterdir()
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert record["mlflow_tracking_uri"] == f"sqlite:///{new / 'mlflow.db'}"
    assert record["config"]["paths"]["output"] == str(new)


def test_a_folder_that_was_moved_is_not_made_again_where_it_was(
    command, finished: tuple[Path, Any], tmp_path: Path
) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    shutil.copytree(finished[0], before)
    assert command("report", "--partial", f"paths.output={before}").code == 0
    before.rename(now)
    (run,) = (path for path in (now / "runs").iterdir() if path.is_dir())
    (now / "report" / "leaderboard.md").unlink()
    text = tmp_path / "note.txt"
    text.write_text("醫師說我有脂肪肝。\n", encoding="utf-8")
    for words in (
        ("rescore", "latest", "--runs-in", str(now), "restoration=first"),
        ("report", "--partial", f"paths.output={now}"),
        ("predict", "--run", str(run), str(text)),
    ):
        ended = command(*words)
        assert ended.code == 0, ended.text
        assert not before.exists(), words
    assert (now / "report" / "leaderboard.md").is_file()
    assert {each.info.artifact_uri.partition("/mlartifacts/")[0] for each in tracked(now)} == {
        now.as_uri()
    }


def test_the_runs_that_a_run_names_have_moved_with_it() -> None:
    old, new = Path("/old/outputs"), Path("/new")
    config = {
        "paths": {"output": str(old), "data": "/old/outputs/data"},
        "tracking": {"_target_": "chmed_ner.track.MLflowTracking", "uri": None, "store": str(old)},
        "regime": {"_target_": "chmed_ner.train.SavedAdapter", "path": f"{old}/runs/tuned"},
        "method": {
            "_target_": "chmed_ner.methods.Ensemble",
            "runs": [f"{old}/runs/one", "/elsewhere/runs/two"],
        },
        "backbone": {"path": f"{old}/weights"},
    }
    found = at_home(config, new)
    assert found["regime"]["path"] == "/new/runs/tuned"
    assert found["method"]["runs"] == ["/new/runs/one", "/elsewhere/runs/two"]
    assert found["tracking"]["store"] == found["paths"]["output"] == "/new"
    assert found["backbone"] == config["backbone"]
    assert found["paths"]["data"] == "/old/outputs/data"
    assert at_home(config, old) == config


def test_a_run_copied_out_of_every_output_directory_is_tracked_where_it_is_told(
    command, finished: tuple[Path, Any], finished_run: Path, empty_store: Path, tmp_path: Path
) -> None:
    run, mine = tmp_path / "from a colleague", tmp_path / "mine"
    shutil.copytree(finished_run, run)
    mine.mkdir()
    shutil.copy(empty_store, mine / "mlflow.db")
    before = state(finished[0])
    ended = command("rescore", str(run), "--runs-in", str(mine), "restoration=in_order")
    assert ended.code == 0, ended.text
    assert state(finished[0]) == before
    assert len(tracked(mine)) == 1


def test_a_store_beside_its_files_is_left_alone_and_another_is_named(
    empty_store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    database = Path(shutil.copy(empty_store, folder / "mlflow.db"))
    own = Store(f"sqlite:///{database}", folder / "mlartifacts")
    own.experiment(own.client(), "mine")
    linked = tmp_path / "link"
    linked.symlink_to(folder)
    (folder / "mlartifacts").mkdir(exist_ok=True)
    same = Store(f"sqlite:///{linked / 'mlflow.db'}", linked / "mlartifacts")
    assert (
        same.client().get_experiment_by_name("mine").artifact_location
        == (folder / "mlartifacts" / "mine").as_uri()
    )
    caplog.clear()
    other = Store(f"sqlite:///{database}", tmp_path / "two" / "mlartifacts")
    other.experiment(other.client(), "mine")
    assert f"{folder / 'mlartifacts'}" in caplog.text


def test_addresses_below_the_old_place_move_and_others_stay() -> None:
    before, now = Path("/old/outputs"), Path("/new")
    assert moved("/old/outputs", before, now) == "/new"
    assert moved("sqlite:////old/outputs/mlflow.db", before, now) == "sqlite:////new/mlflow.db"
    for other in ("sqlite:////old/outputs2/mlflow.db", "http://server:5000", "/old", ""):
        assert moved(other, before, now) == other
