"""Parallel jobs on the default SQLite store: no lost run, no "database is locked"."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

JOB = """
import sys
from pathlib import Path
from chmed_ner.track import Description, MLflowTracking

output, job, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
tracking = MLflowTracking(uri=None, store=str(output), upload_adapter=False)
for number in range(times):
    name = f"{job}-{number}"
    directory = output / "runs" / name
    directory.mkdir(parents=True)
    (directory / "metrics.json").write_text("{}")
    params = {f"p{n}": str(n) for n in range(50)}
    run = tracking.start(Description("parallel", name, name, {"job": job}, params), directory, None)
    for step in range(3):
        run.log({f"m{n}": float(n) for n in range(100)}, step)
    run.artifacts(["metrics.json"])
    run.end("FINISHED")
    assert not (directory / "unsent.json").exists()
"""


def jobs_at_once(output: Path, jobs: int, times: int) -> str:
    """What the jobs say, each of which makes `times` runs; they must all end well."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", JOB, output, str(job), str(times)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for job in range(jobs)
    ]
    said = [job.communicate(timeout=580)[1] for job in running]
    assert [job.returncode for job in running] == [0] * jobs, said
    return "".join(said)


def check_runs(output: Path, count: int) -> None:
    """Every run is there once, with everything."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'parallel'")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == len({run.info.run_name for run in runs}) == count
    for run in runs:
        assert run.info.status == "FINISHED"
        assert len(run.data.metrics) == 100
        assert len(run.data.params) == 50
        assert len(client.get_metric_history(run.info.run_id, "m7")) == 3
        assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["metrics.json"]


def test_parallel_jobs_write_to_one_sqlite_store(empty_store: Path, tmp_path: Path) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    said = jobs_at_once(tmp_path, jobs=3, times=2)
    assert "locked" not in said
    check_runs(tmp_path, 6)


@pytest.mark.slow
def test_four_jobs_twenty_times_on_a_store_that_is_not_there_yet(tmp_path: Path) -> None:
    said = jobs_at_once(tmp_path, jobs=4, times=20)
    assert "locked" not in said
    check_runs(tmp_path, 80)
