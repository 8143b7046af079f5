"""`chmed-ner run` from its command line to the files of its run directory."""

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.cli.score import score_files
from chmed_ner.track.sweeps import SWEEP_TAG

Process = Callable[..., subprocess.Popen[str]]
SAMPLE = Path(__file__).parents[2] / "chmed_ner" / "data" / "sample"
FILES = {
    ".hydra/config.yaml",
    ".hydra/hydra.yaml",
    ".hydra/overrides.yaml",
    "run.json",
    "run.log",
    "completions.jsonl",
    "history.jsonl",
    "predictions.jsonl",
    "submission/FT.txt",
    "submission/SM.txt",
    "submission/WA.txt",
    "metrics.json",
    "report.html",
    "analysis/confusion.csv",
    "analysis/errors_by_type.csv",
    "analysis/f1_by_entity_length.csv",
    "analysis/f1_by_sentence_length.csv",
    "analysis/f1_by_seen.csv",
    "analysis/one_character_entities.csv",
}
COMPLETION = {
    "id", "split", "genre", "prompt_sha256", "text", "stop", "prompt_tokens", "completion_tokens",
    "seconds",
}  # fmt: skip


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def record(run: Path) -> dict[str, Any]:
    """A run's `run.json`."""
    content = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def only_run(output: Path) -> Path:
    """The one run under an output directory."""
    (run,) = (output / "runs").iterdir()
    return run


def mlflow_runs(output: Path) -> list[Any]:
    """All runs of the SQLite store under `output`, without those that hold a sweep together."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    ids = [each.experiment_id for each in client.search_experiments()]
    return [run for run in client.search_runs(ids) if SWEEP_TAG not in run.data.tags]


# ---------------------------------------------------------------- the files of a run


def test_a_run_ends_well_and_says_where_it_lies(finished, finished_run: Path) -> None:
    output, ended = finished
    assert ended.code == 0
    assert "Traceback" not in ended.text
    assert str(finished_run) in ended.out
    metrics = json.loads((finished_run / "metrics.json").read_text())
    table = next(line for line in ended.out.splitlines() if line.startswith("sample-scripted"))
    for name in ("precision", "recall", "f1", "f1_low", "f1_high"):
        assert f"{metrics[f'test/{name}']:.2f}" in table
    assert {path.name for path in output.iterdir()} == {
        "runs", "runs.lock", "mlflow.db", "mlflow.lock", "mlartifacts",
    }  # fmt: skip


def test_the_files_of_a_run(finished_run: Path) -> None:
    found = {
        str(path.relative_to(finished_run)) for path in finished_run.rglob("*") if path.is_file()
    }
    assert found == FILES
    name = re.fullmatch(r"\d{8}-\d{6}_(.+)_([0-9a-f]{8})", finished_run.name)
    assert name
    kept = record(finished_run)
    assert name.groups() == (kept["name"], kept["config_hash"][:8])
    assert kept["name"] == "sample-scripted-extraction-zero_shot-s13"
    assert kept["status"] == "FINISHED"
    assert kept["training_files"] == {}
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in kept["test_files"].values())
    assert len(kept["test_files"]) == 3
    assert {"chmed_ner", "opencc", "mlflow"} <= set(kept["versions"])


def test_completions_and_predictions_of_every_test_sentence(finished_run: Path) -> None:
    completions = lines(finished_run / "completions.jsonl")
    predictions = lines(finished_run / "predictions.jsonl")
    assert all(set(each) == COMPLETION for each in completions)
    assert {each["stop"] for each in completions} == {"end", "length"}
    ids = [each["id"] for each in predictions]
    assert sorted(each["id"] for each in completions) == sorted(ids)
    assert len(set(ids)) == len(ids) > 90
    assert {(each["split"], each["genre"]) for each in predictions} == {
        ("test", "FT"), ("test", "SM"), ("test", "WA"),
    }  # fmt: skip
    entities = 0
    for each in predictions:
        assert set(each) == {"id", "split", "genre", "sentence", "entities", "problems"}
        for entity in each["entities"]:
            entities += 1
            assert set(entity) == {"start", "end", "type", "mention"}
            assert each["sentence"][entity["start"] : entity["end"]] == entity["mention"]
    assert entities > 100


def test_the_submission_scores_officially_what_the_metrics_say(finished_run: Path) -> None:
    metrics = json.loads((finished_run / "metrics.json").read_text())
    genres = ("FT", "SM", "WA")
    scores = score_files(
        [(g, SAMPLE / f"test_{g}.txt", finished_run / "submission" / f"{g}.txt") for g in genres]
    )
    for genre in genres:
        assert metrics[f"test/{genre}/f1"] == pytest.approx(scores[genre].overall.f1, abs=1e-9)
    mean = sum(metrics[f"test/{genre}/f1"] for genre in genres) / 3
    assert metrics["test/f1"] == pytest.approx(mean, abs=1e-9)
    assert 50 < metrics["test/f1"] < 100


def test_the_same_command_twice_gives_identical_predictions(
    finished_run: Path, scripted, tmp_path: Path
) -> None:
    assert scripted(f"paths.output={tmp_path}").code == 0
    again = only_run(tmp_path)
    assert again.name.rpartition("_")[2] == finished_run.name.rpartition("_")[2]
    for file in ("predictions.jsonl", "submission/FT.txt", "submission/WA.txt"):
        assert (again / file).read_bytes() == (finished_run / file).read_bytes()
    first, second = (
        [{k: v for k, v in each.items() if k != "seconds"} for each in lines(run / FILE)]
        for run in (finished_run, again)
        for FILE in ["completions.jsonl"]
    )
    assert first == second


def test_another_seed_is_another_run(finished_run: Path, scripted, tmp_path: Path) -> None:
    assert scripted(f"paths.output={tmp_path}", "seed=14", "backbone.seed=1").code == 0
    other = only_run(tmp_path)
    assert record(other)["config_hash"] != record(finished_run)["config_hash"]
    theirs, ours = other / "predictions.jsonl", finished_run / "predictions.jsonl"
    assert theirs.read_bytes() != ours.read_bytes()


def test_validate_keeps_the_validation_split_too(
    finished_run: Path, scripted, tmp_path: Path
) -> None:
    assert scripted(f"paths.output={tmp_path}", "validate=true").code == 0
    run = only_run(tmp_path)
    predictions = lines(run / "predictions.jsonl")
    assert {each["split"] for each in predictions} == {"test", "validation"}
    completions = lines(run / "completions.jsonl")
    assert len(completions) == len(predictions)
    tests = [each for each in predictions if each["split"] == "test"]
    assert tests == lines(finished_run / "predictions.jsonl")
    own = (finished_run / "submission" / "FT.txt").read_bytes()
    assert (run / "submission" / "FT.txt").read_bytes() == own


def test_a_limited_run_takes_a_sample_of_each_genre(scripted, tmp_path: Path) -> None:
    limits = ("limit.test=5", "'dataset.genres=[FT,WA]'".strip("'"))
    assert scripted(f"paths.output={tmp_path}", *limits).code == 0
    run = only_run(tmp_path)
    genres = [each["genre"] for each in lines(run / "predictions.jsonl")]
    assert genres == ["FT"] * 5 + ["WA"] * 5
    assert {path.name for path in (run / "submission").iterdir()} == {"FT.txt", "WA.txt"}


# ---------------------------------------------------------------- multirun


def test_a_multirun_equals_its_single_runs(scripted, tmp_path: Path) -> None:
    orders, policies = ("unique", "text_order"), ("longest_first", "in_order")
    sweep = tmp_path / "sweep"
    ended = scripted(
        f"paths.output={sweep}",
        "--multirun",
        f"prompt.answer.order={','.join(orders)}",
        f"restoration={','.join(policies)}",
    )
    assert ended.code == 0, ended.text
    cells: dict[tuple[str, str], Path] = {}
    for path in (sweep / "runs").glob("*/run.json"):
        config = record(path.parent)["config"]
        key = config["prompt"]["answer"]["order"], config["restoration"]["policy"]
        cells[key] = path.parent
        assert str(path.parent) in ended.out
    assert len(cells) == 4
    contents = set()
    for (order, policy), cell in cells.items():
        single = tmp_path / order / policy
        settings = (f"prompt.answer.order={order}", f"restoration={policy}")
        assert scripted(f"paths.output={single}", *settings).code == 0
        expected = only_run(single)
        assert record(expected)["config_hash"] == record(cell)["config_hash"]
        found = (cell / "predictions.jsonl").read_bytes()
        assert found == (expected / "predictions.jsonl").read_bytes()
        contents.add(found)
    assert len(contents) >= 3


def test_a_failing_job_is_marked_failed_and_the_others_finish(command, tmp_path: Path) -> None:
    spoiled = tmp_path / "cells" / "1" / "completions.jsonl"
    spoiled.parent.mkdir(parents=True)
    spoiled.write_text("this is no completion\n")
    ended = command(
        "run",
        "-m",
        "backbone=scripted",
        "regime=zero_shot",
        f"paths.output={tmp_path}",
        f"hydra.sweep.dir={tmp_path / 'cells'}",
        "hydra.sweep.subdir=${hydra.job.num}",
        "limit.test=3",
        "seed=1,2,3",
    )
    assert ended.code == 1
    assert f"{spoiled}, line 1" in ended.text
    assert "Traceback" not in ended.text
    assert "3 runs: 2 done, 0 skipped, 1 failed" in ended.out
    assert f"FAILED: {spoiled}, line 1" in ended.out
    tracked = {int(run.data.tags["seed"]): run for run in mlflow_runs(tmp_path)}
    states = {seed: run.info.status for seed, run in tracked.items()}
    assert states == {1: "FINISHED", 2: "FAILED", 3: "FINISHED"}
    reason = record(tmp_path / "cells" / "1")["error"]
    assert reason.startswith(f"{spoiled}, line 1")
    assert tracked[2].data.tags["error"] == reason
    assert "error" not in tracked[1].data.tags
    assert [record(tmp_path / "cells" / n)["status"] for n in "012"] == [
        "FINISHED", "FAILED", "FINISHED",
    ]  # fmt: skip
    assert (tmp_path / "cells" / "2" / "report.html").is_file()


def test_a_job_with_bad_settings_does_not_stop_the_others(scripted, tmp_path: Path) -> None:
    ended = scripted(
        f"paths.output={tmp_path}", "-m", "limit.test=3", "prompt.answer.order=unique,up,text_order"
    )
    assert ended.code == 1
    assert "prompt.answer.order=up: give one of unique, text_order" in ended.text
    assert "Traceback" not in ended.text
    assert len(list((tmp_path / "runs").glob("*/predictions.jsonl"))) == 2


# ---------------------------------------------------------------- interruption and resume

SLOW = ("backbone.batch_size=4", "backbone.seconds=0.4", "dataset.genres=[WA]", "limit.test=30")


def wait_for_batches(output: Path, count: int, running: subprocess.Popen[str]) -> Path:
    """The directory of the run in progress, once `count` batches of it are on disk."""
    end = time.monotonic() + 200
    while time.monotonic() < end and running.poll() is None:
        for path in output.glob("runs/*/completions.jsonl"):
            if path.read_bytes().count(b"\n") >= 4 * count:
                return path.parent
        time.sleep(0.05)
    raise AssertionError(f"no {count} batches in time: {running.poll()}")


@pytest.fixture(scope="module")
def killed(process: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output directory of a run in MLflow that `kill -9` ended in the middle of inference."""
    output = tmp_path_factory.mktemp("killed")
    words = ("run", "backbone=scripted", "regime=zero_shot", *SLOW, f"paths.output={output}")
    with process(*words, cwd=output) as running:
        wait_for_batches(output, 3, running)
        running.kill()
    return output


@pytest.fixture
def uninterrupted(scripted, tmp_path: Path) -> Path:
    """The same run from beginning to end (a batch's sleep does not change what it answers)."""
    settings = [word for word in SLOW if "seconds" not in word]
    assert scripted(*settings, f"paths.output={tmp_path / 'whole'}").code == 0
    return only_run(tmp_path / "whole")


def check_resumed(run: Path, before: bytes, uninterrupted: Path) -> None:
    """Nothing finished was asked again, and the outcome is that of an uninterrupted run."""
    after = (run / "completions.jsonl").read_bytes()
    assert after.startswith(before)
    ids = [each["id"] for each in lines(run / "completions.jsonl")]
    assert len(ids) == len(set(ids)) == 30
    assert record(run)["status"] == "FINISHED"
    for file in ("predictions.jsonl", "submission/WA.txt"):
        assert (run / file).read_bytes() == (uninterrupted / file).read_bytes()
    ours, theirs = (
        json.loads((each / "metrics.json").read_text()) for each in (run, uninterrupted)
    )
    scores = [name for name in theirs if not name.startswith(("time/", "memory/"))]
    assert {name: ours[name] for name in scores} == {name: theirs[name] for name in scores}


def test_after_kill_9_a_run_goes_on_where_it_was(
    killed: Path, uninterrupted: Path, command, scripted, tmp_path: Path
) -> None:
    run = only_run(killed)
    assert record(run)["status"] == "RUNNING"
    (tracked,) = mlflow_runs(killed)
    assert tracked.info.status == "RUNNING"
    before = (run / "completions.jsonl").read_bytes()
    done = before.count(b"\n")
    assert 12 <= done < 30
    assert not (run / "predictions.jsonl").exists()

    # the same state once more, with a last line that was being written
    torn = tmp_path / "torn"
    shutil.copytree(run, torn)
    with (torn / "completions.jsonl").open("ab") as file:
        file.write('{"id": "sample/WA/test/00001", "split": "test", "text": "頭'.encode()[:-1])
    ended = scripted(*SLOW, f"paths.output={tmp_path}", f"resume={torn}")
    assert ended.code == 0, ended.text
    check_resumed(torn, before, uninterrupted)

    ended = command(
        "run", "backbone=scripted", "regime=zero_shot", *SLOW, f"paths.output={killed}",
        f"resume={run}",
    )  # fmt: skip
    assert ended.code == 0, ended.text
    check_resumed(run, before, uninterrupted)
    assert only_run(killed) == run
    (again,) = mlflow_runs(killed)
    assert again.info.run_id == tracked.info.run_id
    assert again.info.status == "FINISHED"
    assert again.data.params == tracked.data.params
    assert again.data.metrics == json.loads((run / "metrics.json").read_text())


def test_ctrl_c_ends_with_130_and_can_be_resumed(
    process: Process, uninterrupted: Path, scripted, tmp_path: Path
) -> None:
    output = tmp_path / "interrupted"
    words = ("run", "backbone=scripted", "regime=zero_shot", "tracking=dry", *SLOW)
    with process(*words, f"paths.output={output}", cwd=tmp_path) as running:
        run = wait_for_batches(output, 2, running)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in out + err
    assert record(run)["status"] == "KILLED"
    before = (run / "completions.jsonl").read_bytes()
    assert scripted(*SLOW, f"paths.output={output}", f"resume={run.name}").code == 0
    check_resumed(run, before, uninterrupted)


def test_a_finished_run_is_scored_again_without_a_question(
    finished_run: Path, scripted, tmp_path: Path
) -> None:
    run = tmp_path / "copy"
    shutil.copytree(finished_run, run)
    before = {p: (run / p).read_bytes() for p in ("completions.jsonl", "predictions.jsonl")}
    (run / "predictions.jsonl").unlink()
    ended = scripted(f"paths.output={tmp_path}", f"resume={run}")
    assert ended.code == 0, ended.text
    assert before == {path: (run / path).read_bytes() for path in before}


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("prompt.answer.order=text_order", "prompt.answer.order was unique, is text_order"),
        ("backbone.noise=0.5", "backbone.noise was 0.2, is 0.5"),
        ("dataset.genres=[FT]", "dataset.genres was None, is ['FT']"),
        ("limit.test=4", "limit.test was None, is 4"),
        ("seed=99", "seed was 13, is 99"),
    ],
)
def test_resuming_with_other_settings_is_refused_and_changes_nothing(
    finished_run: Path, scripted, tmp_path: Path, setting: str, says: str
) -> None:
    run = tmp_path / "copy"
    shutil.copytree(finished_run, run)
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    ended = scripted(f"paths.output={tmp_path}", f"resume={run}", setting)
    assert ended.code == 2
    assert says in ended.err
    assert str(run) in ended.err
    assert "Traceback" not in ended.text
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_resuming_with_a_changed_corpus_is_refused(scripted, tmp_path: Path) -> None:
    gold = tmp_path / "gold.txt"
    gold.write_text("頭 B-SYMP\n痛 I-SYMP\n。 O\n\n", encoding="utf-8")
    words = ("dataset=column_files", f"dataset.test={{FT: {gold}}}", f"paths.output={tmp_path}")
    assert scripted(*words).code == 0
    run = only_run(tmp_path)
    gold.write_text("頭 B-DISE\n痛 I-DISE\n。 O\n\n", encoding="utf-8")
    ended = scripted(*words, f"resume={run}")
    assert ended.code == 2
    assert "the files" in ended.err


def test_a_multirun_cannot_be_resumed(finished_run: Path, scripted, tmp_path: Path) -> None:
    ended = scripted("-m", "seed=13,14", f"paths.output={tmp_path}", f"resume={finished_run}")
    assert ended.code == 2
    assert "a multirun cannot be resumed" in ended.err
    assert not list(tmp_path.glob("runs/*/run.json"))


@pytest.mark.parametrize(
    "words", [("--cfg", "job"), ("--help",), ("--info", "defaults"), ("--info",)], ids=" ".join
)
def test_hydra_s_own_options_work_and_start_nothing(command, tmp_path: Path, words) -> None:
    ended = command("run", "backbone=scripted", *words, f"paths.output={tmp_path}")
    assert ended.code == 0, ended.text
    assert "scripted" in ended.out
    assert not list(tmp_path.glob("runs/*"))
