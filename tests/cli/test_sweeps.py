"""Sweeps that survive: what is there is left out, what was killed goes on, nobody writes twice."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.files import let_go, take
from chmed_ner.run.cells import mark_killed
from chmed_ner.run.names import LONGEST_NAME, cell_name
from chmed_ner.track import Description, MLflowTracking
from chmed_ner.track.sweeps import SWEEP_TAG
from tests.cli.conftest import SCRIPTED, succeed

Process = Callable[..., subprocess.Popen[str]]
CELLS = ("dataset.genres=[WA]", "limit.test=2")


def record(run: Path) -> dict[str, Any]:
    """A run's `run.json`."""
    content = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def runs_of(output: Path) -> list[Path]:
    """The run directories under an output directory, oldest first."""
    return sorted(path for path in (output / "runs").iterdir() if path.is_dir())


def mlflow_runs(output: Path) -> list[Any]:
    """All runs of the SQLite store under `output`, without those that hold a sweep together."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    ids = [each.experiment_id for each in client.search_experiments()]
    return [run for run in client.search_runs(ids) if SWEEP_TAG not in run.data.tags]


def contents(output: Path) -> dict[Path, bytes]:
    """Every file of every run."""
    return {path: path.read_bytes() for path in (output / "runs").rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def two_cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output directory of a sweep over two seeds."""
    output = tmp_path_factory.mktemp("two_cells")
    words = ("run", "-m", *SCRIPTED, "tracking=dry", *CELLS, "seed=1,2")
    succeed(*words, f"paths.output={output}")
    assert len(runs_of(output)) == 2
    return output


@pytest.fixture
def swept(two_cells: Path, tmp_path: Path) -> Path:
    """A copy of the sweep's output directory."""
    return Path(shutil.copytree(two_cells, tmp_path / "swept"))


# ---------------------------------------------------------------- what is there is left out


def test_the_same_sweep_again_does_only_what_is_missing(scripted, swept: Path) -> None:
    words = ("-m", *CELLS, f"paths.output={swept}")
    before = contents(swept)
    metrics = json.loads((runs_of(swept)[0] / "metrics.json").read_text())

    ended = scripted(*words, "seed=1,2")
    assert ended.code == 0, ended.text
    assert "2 runs: 0 done, 2 skipped, 0 failed" in ended.out
    row = next(line for line in ended.out.splitlines() if line.startswith("sample-scripted"))
    assert f"{metrics['test/f1']:.2f}" in row
    assert contents(swept) == before

    ended = scripted(*words, "seed=1,2,3", "name=other")  # a name makes no other run
    assert "3 runs: 1 done, 2 skipped, 0 failed" in ended.out
    assert len(runs_of(swept)) == 3

    ended = scripted(*words, "seed=1", "rerun=true")
    assert ended.code == 0, ended.text
    assert len(runs_of(swept)) == 4
    assert {path: data for path, data in contents(swept).items() if path in before} == before


def test_a_sweep_counts_equal_cells_once(scripted, tmp_path: Path) -> None:
    ended = scripted("-m", *CELLS, "seed=1,1", f"paths.output={tmp_path}")
    assert "2 runs: 1 done, 1 skipped, 0 failed" in ended.out
    assert len(runs_of(tmp_path)) == 1


def test_another_setting_is_another_cell(scripted, swept: Path) -> None:
    words = ("-m", *CELLS, "seed=1", f"paths.output={swept}")
    for changed in ("backbone.noise=0.2,0.3", "limit.test=2,3", "experiment=chmed_ner,another"):
        assert "2 runs: 1 done, 1 skipped, 0 failed" in scripted(*words, changed).out, changed


def test_a_changed_corpus_makes_another_cell(scripted, tmp_path: Path) -> None:
    gold = tmp_path / "gold.txt"
    words = (
        "-m", "dataset=column_files", f"dataset.test={{FT: {gold}}}", "seed=1",
        f"paths.output={tmp_path}",
    )  # fmt: skip
    for tag in ("SYMP", "DISE"):
        gold.write_text(f"頭 B-{tag}\n痛 I-{tag}\n。 O\n\n", encoding="utf-8")
        assert scripted(*words).code == 0
    assert len(runs_of(tmp_path)) == 2


def test_a_single_run_is_run_whenever_it_is_asked_for(scripted, tmp_path: Path) -> None:
    for _ in range(2):
        assert scripted(*CELLS, f"paths.output={tmp_path}").code == 0
    first, second = runs_of(tmp_path)  # in the same second, perhaps: never in the same directory
    assert (first / "predictions.jsonl").read_bytes() == (second / "predictions.jsonl").read_bytes()
    assert first.name[16:] == second.name[16:]


def test_a_failed_cell_is_tried_again_where_it_was(scripted, swept: Path) -> None:
    words = ("-m", *CELLS, "seed=1,2", f"paths.output={swept}")
    failed = runs_of(swept)[1]
    kept = record(failed)
    (failed / "run.json").write_text(json.dumps({**kept, "status": "FAILED"}), encoding="utf-8")
    whole = (failed / "completions.jsonl").read_bytes()
    (failed / "completions.jsonl").write_bytes(b"broken\n")
    ended = scripted(*words)
    assert ended.code == 1
    assert "2 runs: 0 done, 1 skipped, 1 failed" in ended.out
    assert "line 1" in record(failed)["error"]
    (failed / "completions.jsonl").write_bytes(whole)
    ended = scripted(*words)
    assert ended.code == 0, ended.text
    assert "2 runs: 1 done, 1 skipped, 0 failed" in ended.out
    assert (record(failed)["status"], record(failed)["error"]) == ("FINISHED", "")
    assert len(runs_of(swept)) == 2


def test_a_cell_refused_before_it_begins_is_recorded_as_failed(scripted, tmp_path: Path) -> None:
    words = ("-m", *CELLS, f"paths.output={tmp_path}", "regime=zero_shot,lora")
    ended = scripted(*words)
    assert ended.code == 1
    assert "2 runs: 1 done, 0 skipped, 1 failed" in ended.out
    states = {run.name.split("-")[5]: record(run)["status"] for run in runs_of(tmp_path)}
    (failed,) = [run for run in runs_of(tmp_path) if record(run)["status"] == "FAILED"]
    assert "no weights to tune" in record(failed)["error"], states
    assert "no weights to tune" in (failed / "run.log").read_text()
    assert scripted(*words).code == 1
    assert len(runs_of(tmp_path)) == 2


def test_all_cells_refused_is_bad_configuration(scripted, tmp_path: Path) -> None:
    assert scripted("-m", *CELLS, f"paths.output={tmp_path}", "regime=lora", "seed=1,2").code == 2


# ---------------------------------------------------------------- cells of several methods


def test_a_backbone_is_for_the_cells_that_ask_one(scripted, tmp_path: Path) -> None:
    words = ("-m", *CELLS, "limit.train=20", "preset=lexicon,zero_shot", f"paths.output={tmp_path}")
    ended = scripted(*words)
    assert ended.code == 0, ended.text
    backbones = {
        record(run)["name"]: record(run)["config"]["backbone"] for run in runs_of(tmp_path)
    }
    assert backbones["sample-lexicon-s13-preset-lexicon"] is None
    assert len([each for each in backbones.values() if each]) == 1
    ended = scripted(*words, "backbone.noise=0.5")  # nothing to the lexicon: it is done already
    assert "2 runs: 1 done, 1 skipped, 0 failed" in ended.out
    ended = scripted("-m", "method=crf", "seed=1,2", f"paths.output={tmp_path}")
    assert (ended.code, ended.text.count("method=crf uses no backbone")) == (2, 4)


def demo(command: Any, model: Path, output: Path, *words: str) -> list[str]:
    """What a small demo of a tiny model prints, from its table on."""
    ended = command(
        "run", "sweep=demo", "backbone=causal_lm", f"backbone.path={model}", "tracking=dry",
        *CELLS, "limit.train=32", "limit.validation=2", f"paths.output={output}", *words,
    )  # fmt: skip
    assert ended.code == 0, ended.text
    return list(ended.out.split("95% interval\n")[1].splitlines())


def test_a_table_says_why_an_untuned_base_model_finds_nothing(
    command, tiny_llama: Path, tmp_path: Path
) -> None:
    told = "a base model goes on with the text"
    lines = demo(command, tiny_llama, tmp_path, "preset=lexicon,zero_shot")
    assert lines[1].split()[:4] == ["causal_lm-preset-zero_shot", "0.00", "0.00", "0.00"]
    assert told in lines[-1]
    assert sum(told in line for line in lines) == 1
    assert told not in demo(command, tiny_llama, tmp_path, "preset=lexicon,lexicon")[-1]


@pytest.mark.slow
def test_the_demo_is_one_table(command, tiny_llama: Path, tmp_path: Path) -> None:
    assert [line.split()[0] for line in demo(command, tiny_llama, tmp_path)[:5]] == [
        "no_model-preset-lexicon", "no_model-preset-crf", "causal_lm-preset-zero_shot",
        "causal_lm-preset-few_shot", "causal_lm-preset-inline_lora",
    ]  # fmt: skip


# ---------------------------------------------------------------- names


def test_cells_that_differ_in_any_setting_have_names_of_their_own(scripted, tmp_path: Path) -> None:
    forms = ("prompt.answer.order=unique", "restoration=longest_first,in_order")
    ended = scripted("-m", *CELLS, *forms, f"paths.output={tmp_path}")
    assert ended.code == 0, ended.text
    names = {record(run)["name"] for run in runs_of(tmp_path)}
    assert names == {
        f"sample-scripted-extraction-zero_shot-s13-restoration-{policy}"
        for policy in ("longest_first", "in_order")
    }
    for run in runs_of(tmp_path):
        kept = record(run)
        assert run.name[16:] == f"{kept['name']}_{kept['config_hash'][:8]}"
        rows = [line for line in ended.out.splitlines() if line.startswith(f"{kept['name']} ")]
        assert len(rows) == 1


def test_a_cell_s_name() -> None:
    words = ["limit.train=10", "limit.test=5", "seed=2", "+dataset.genres=[FT,WA]", "regime=lora"]
    varied = {"limit.train", "limit.test", "dataset.genres", "seed"}
    assert cell_name("x-s2", words, varied, {"seed"}) == (
        "x-s2-limit.train-10-limit.test-5-genres-_FT_WA_"
    ).replace("limit.train", "train").replace("limit.test", "test")
    assert cell_name("x", ["a.k=1", "b.k=/p/q"], {"a.k", "b.k"}, set()) == "x-a.k-1-b.k-_p_q"
    assert cell_name("x", words, set(), set()) == "x"
    long = cell_name("醫" * 60, ["a=" + "療" * 60], {"a"}, set())
    assert LONGEST_NAME - 3 < len(os.fsencode(long)) <= LONGEST_NAME


# ---------------------------------------------------------------- one process at a time


def test_a_cell_that_another_process_is_at_is_passed_over(scripted, swept: Path) -> None:
    words = ("-m", *CELLS, "seed=1,2", f"paths.output={swept}")
    busy = runs_of(swept)[0]
    (busy / "run.json").write_text(json.dumps({**record(busy), "status": "RUNNING"}))
    lock = take(busy)
    assert lock is not None
    before = {path: data for path, data in contents(swept).items() if path.parent == busy}
    ended = scripted(*words)
    assert ended.code == 0, ended.text
    assert "2 runs: 0 done, 1 skipped, 0 failed, 1 running" in ended.out
    assert {path: path.read_bytes() for path in before} == before
    assert record(busy)["status"] == "RUNNING"
    assert len(runs_of(swept)) == 2

    ended = scripted(*CELLS, "seed=1", f"paths.output={swept}", f"resume={busy}")
    assert ended.code == 1
    assert f"{busy}: another process is at work" in ended.text

    let_go(lock)
    assert "1 done, 1 skipped" in scripted(*words).out
    assert not list(swept.rglob("run.lock"))


@pytest.mark.slow
def test_the_same_sweep_twice_at_once_shares_its_cells(process: Process, tmp_path: Path) -> None:
    words = (
        "run", "-m", "backbone=scripted", "regime=zero_shot", "tracking=dry", *CELLS,
        "backbone.seconds=0.3", "seed=range(1,7)", f"paths.output={tmp_path}",
    )  # fmt: skip
    both = [process(*words, cwd=tmp_path) for _ in range(2)]
    texts = [running.communicate(timeout=300)[0] for running in both]
    assert [running.returncode for running in both] == [0, 0]
    done = [int(match) for text in texts for match in re.findall(r"(\d+) done", text)]
    assert sum(done) == 6
    assert Counter(record(run)["seed"] for run in runs_of(tmp_path)) == dict.fromkeys(
        range(1, 7), 1
    )
    assert {record(run)["status"] for run in runs_of(tmp_path)} == {"FINISHED"}


# ---------------------------------------------------------------- kill -9


def answered(output: Path) -> int:
    """How many completions are on disk."""
    return sum(path.read_bytes().count(b"\n") for path in output.glob("runs/*/completions.jsonl"))


def kill_after(running: subprocess.Popen[str], output: Path, completions: int) -> None:
    """`kill -9` once there are so many completions more."""
    until, end = answered(output) + completions, time.monotonic() + 200
    while answered(output) < until and running.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    running.kill()
    running.communicate()


def sweep_words(cells: int, output: Path) -> tuple[str, ...]:
    """A scripted sweep in MLflow whose batches, of one sentence, take a while."""
    return (
        "run", "-m", "backbone=scripted", "regime=zero_shot", "dataset.genres=[WA]", "limit.test=6",
        "backbone.batch_size=1", "backbone.seconds=0.15", f"backbone.seed=range(0,{cells})",
        f"paths.output={output}",
    )  # fmt: skip


def check_whole(output: Path, undisturbed: Path, cells: int) -> None:
    """Every cell exists exactly once, and answers what an undisturbed sweep answers."""
    runs = {record(run)["config"]["backbone"]["seed"]: run for run in runs_of(output)}
    assert len(runs_of(output)) == len(runs) == cells
    for run in runs_of(undisturbed):
        ours = runs[record(run)["config"]["backbone"]["seed"]]
        for file in ("predictions.jsonl", "submission/WA.txt"):
            assert (ours / file).read_bytes() == (run / file).read_bytes()
        lines = (ours / "completions.jsonl").read_text().splitlines()
        assert len(lines) == 6
        assert len({json.loads(line)["id"] for line in lines}) == 6
    tracked = mlflow_runs(output)
    assert Counter(each.info.status for each in tracked) == {"FINISHED": cells}
    assert {each.info.run_id for each in tracked} == {
        record(run)["mlflow_run_id"] for run in runs.values()
    }
    for each in tracked:
        (run,) = [run for run in runs.values() if record(run)["mlflow_run_id"] == each.info.run_id]
        assert each.data.metrics == json.loads((run / "metrics.json").read_text())


def test_a_killed_sweep_is_finished_by_the_same_command(
    process: Process, command, scripted, empty_store: Path, tmp_path: Path
) -> None:
    output = tmp_path / "killed"
    output.mkdir()
    shutil.copy(empty_store, output / "mlflow.db")
    with process(*sweep_words(2, output), cwd=tmp_path) as running:
        kill_after(running, output, 3)
    (run,) = runs_of(output)
    assert record(run)["status"] == "RUNNING"
    before = (run / "completions.jsonl").read_bytes()
    assert [each.info.status for each in mlflow_runs(output)] == ["RUNNING"]

    # any other run notices that its process is dead
    assert scripted(*CELLS, "experiment=other", f"paths.output={output}").code == 0
    assert record(run)["status"] == "KILLED"
    shutil.rmtree(runs_of(output)[-1])

    ended = command(*sweep_words(2, output))
    assert ended.code == 0, ended.text
    assert "2 runs: 2 done, 0 skipped, 0 failed" in ended.out
    assert (run / "completions.jsonl").read_bytes().startswith(before)
    whole = tmp_path / "whole"
    quick = [word for word in sweep_words(2, whole) if "seconds" not in word]
    assert command(*quick, "tracking=dry").code == 0
    check_whole(output, whole, 2)
    assert record(run)["mlflow_run_id"] in {each.info.run_id for each in mlflow_runs(output)}


def test_a_dead_run_is_marked_as_killed_in_mlflow(swept: Path, empty_store: Path) -> None:
    shutil.copy(empty_store, swept / "mlflow.db")
    tracking = MLflowTracking(uri=None, store=str(swept), upload_adapter=False)
    dead, alive = runs_of(swept)
    for run in (dead, alive):
        tracked = tracking.start(Description("chmed_ner", run.name, run.name, {}, {}), run, None)
        kept = {"mlflow_run_id": tracked.run_id, "mlflow_tracking_uri": tracked.uri}
        content = {**record(run), **kept, "status": "RUNNING"}
        (run / "run.json").write_text(json.dumps(content), encoding="utf-8")
    lock = take(alive)
    assert lock is not None

    assert mark_killed(swept, tracking) == []  # no lock was left: nobody knows whether it is dead
    (dead / "run.lock").touch()
    assert mark_killed(swept, tracking) == [dead]
    assert [record(run)["status"] for run in (dead, alive)] == ["KILLED", "RUNNING"]
    states = {each.info.run_name: each.info.status for each in mlflow_runs(swept)}
    assert states == {dead.name: "KILLED", alive.name: "RUNNING"}
    assert not (dead / "run.lock").exists()
    let_go(lock)


@pytest.mark.slow
def test_twelve_cells_killed_three_times_at_random(
    process: Process, command, empty_store: Path, tmp_path: Path
) -> None:
    output, chance = tmp_path / "killed", random.Random(7)
    output.mkdir()
    shutil.copy(empty_store, output / "mlflow.db")
    for _ in range(3):
        with process(*sweep_words(12, output), cwd=tmp_path) as running:
            kill_after(running, output, chance.randrange(2, 22))
        time.sleep(chance.random())
    ended = command(*sweep_words(12, output))
    assert ended.code == 0, ended.text
    assert "12 runs: " in ended.out
    assert ", 0 failed" in ended.out
    whole = tmp_path / "whole"
    quick = [word for word in sweep_words(12, whole) if "seconds" not in word]
    assert command(*quick, "tracking=dry").code == 0
    check_whole(output, whole, 12)


@pytest.mark.slow
def test_ctrl_c_ends_a_sweep_and_shows_what_was_done(process: Process, tmp_path: Path) -> None:
    words = (*sweep_words(3, tmp_path), "tracking=dry")
    with process(*words, cwd=tmp_path) as running:
        end = time.monotonic() + 200
        while answered(tmp_path) < 8 and time.monotonic() < end:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130, out + err
    assert "1 done" in out
    assert "STOPPED: interrupted" in out
    assert "Traceback" not in out + err
    assert sorted(record(run)["status"] for run in runs_of(tmp_path)) == ["FINISHED", "KILLED"]
