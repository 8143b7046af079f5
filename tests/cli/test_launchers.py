"""Hydra's launchers and its Optuna sweeper, each in an environment of its own beside ours."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PythonWith = Callable[[str], Path]
LAUNCHERS = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit": ["hydra/launcher=submitit_local", "hydra.launcher.cpus_per_task=1"],
    "ray": [
        "hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2",
        "+hydra.launcher.ray.init.include_dashboard=false",
        "+hydra.launcher.ray.remote.num_cpus=1",
    ],
}  # fmt: skip
CELLS = (
    "backbone=scripted", "regime=zero_shot", "dataset.genres=[WA]", "limit.test=2",
    "backbone.seed=range(0,4)",
)  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def call(python: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`chmed-ner run -m ...`; no thread counts are set for it."""
    given = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    return subprocess.run(
        [python, "-m", "chmed_ner", "run", "-m", *words],
        cwd=cwd, env=given, capture_output=True, text=True, check=False, timeout=1200,
    )  # fmt: skip


def records(output: Path) -> list[dict[str, Any]]:
    """The `run.json` of every run."""
    paths = sorted(output.glob("runs/*/run.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def mlflow_states(output: Path) -> Counter[str]:
    """How many runs of the SQLite store under `output` are in which state; their sweep aside."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    ids = [each.experiment_id for each in client.search_experiments()]
    (sweep,) = {run.data.tags.get("mlflow.parentRunId") for run in client.search_runs(ids)} - {None}
    states = {run.info.run_id: run.info.status for run in client.search_runs(ids)}
    wanted = "FAILED" if "FAILED" in states.values() else "FINISHED"
    assert states.pop(sweep) == wanted
    return Counter(states.values())


@pytest.mark.parametrize("extra", LAUNCHERS)
def test_a_parallel_sweep_runs_each_cell_once_and_again_only_what_is_missing(
    extra: str, python_with: PythonWith, tmp_path: Path
) -> None:
    python = python_with(extra)
    output = tmp_path / "output"
    words = (*LAUNCHERS[extra], *CELLS, f"paths.output={output}")
    done = call(python, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 runs: 4 done, 0 skipped, 0 failed" in done.stdout
    assert sorted(each["config"]["backbone"]["seed"] for each in records(output)) == [0, 1, 2, 3]
    assert mlflow_states(output) == {"FINISHED": 4}

    damaged = next(output.glob("runs/*/run.json"))
    content = json.loads(damaged.read_text(encoding="utf-8"))
    damaged.write_text(json.dumps({**content, "status": "KILLED"}), encoding="utf-8")
    (damaged.parent / "completions.jsonl").write_bytes(b"broken\n")
    done = call(python, *words, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "4 runs: 0 done, 3 skipped, 1 failed" in done.stdout
    assert f"FAILED: {damaged.parent / 'completions.jsonl'}, line 1" in done.stdout
    assert mlflow_states(output) == {"FINISHED": 3, "FAILED": 1}

    (damaged.parent / "completions.jsonl").unlink()
    done = call(python, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 runs: 1 done, 3 skipped, 0 failed" in done.stdout
    assert mlflow_states(output) == {"FINISHED": 4}
    assert len(records(output)) == 4


def test_optuna_searches_on_the_validation_split_and_goes_on_where_it_was(
    tiny_llama: Path, python_with: PythonWith, tmp_path: Path
) -> None:
    python = python_with("optuna")
    output = tmp_path / "output"
    words = (
        "sweep=tune_lora", "backbone=causal_lm", f"backbone.path={tiny_llama}",
        "backbone.dtype=float32", "backbone.device=cpu", "tracking=dry", "limit.train=6",
        "limit.validation=2", "regime.epochs=1", "decoding.tokens_per_character=0",
        f"paths.output={output}",
    )  # fmt: skip
    done = call(python, *words, "hydra.sweeper.n_trials=2", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 runs: 2 done, 0 skipped, 0 failed" in done.stdout
    rates = [each["config"]["regime"]["learning_rate"] for each in records(output)]
    assert len(set(rates)) == 2
    assert all(1e-4 <= rate <= 2e-3 for rate in rates)
    for path in output.glob("runs/*/predictions.jsonl"):
        splits = {json.loads(line)["split"] for line in path.read_text().splitlines()}
        assert splits == {"validation"}

    done = call(python, *words, "hydra.sweeper.n_trials=3", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 runs: 1 done, 2 skipped, 0 failed" in done.stdout


def test_optuna_is_refused_where_nothing_is_tuned(python_with: PythonWith, tmp_path: Path) -> None:
    python = python_with("optuna")
    done = call(
        python, "hydra/sweeper=optuna", *CELLS[:-1], "backbone.noise=interval(0,0.5)",
        "hydra.sweeper.n_trials=1", "hydra.sweeper.n_jobs=1", f"paths.output={tmp_path / 'output'}",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "train/dev_f1" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
