"""Parallel jobs share the machine instead of fighting for it."""

import os
import subprocess
import sys

import pytest

from chmed_ner.machine import (
    GPUS,
    THREADS,
    at_once,
    cores,
    gpus_of,
    keep_threads_awake,
    take_share,
    threads_each,
)


@pytest.mark.parametrize(
    ("launcher", "there", "jobs", "threads"),
    [
        ({"n_jobs": 4}, 16, 4, 4),
        ({"n_jobs": 3}, 16, 3, 5),
        ({"n_jobs": -1}, 8, 8, 1),
        ({"n_jobs": -2}, 8, 7, 1),
        ({"n_jobs": 16}, 8, 16, 1),
        ({"n_jobs": 1}, 8, 1, None),
        ({}, 8, 1, None),
        ({"_target_": "x.SlurmLauncher", "cpus_per_task": 6}, 8, 1, 6),
        ({"cpus_per_task": None}, 8, 1, None),
        ({"ray": {"init": {}, "remote": {"num_cpus": 2}}}, 8, 1, 2),
        ({"ray": {"init": {}, "remote": {"num_cpus": 0.5}}}, 8, 1, 1),
        ({"ray": {"init": {}, "remote": {}}}, 8, 1, None),
    ],
)
def test_the_share_of_each_launcher_s_jobs(
    launcher: dict[str, object], there: int, jobs: int, threads: int | None
) -> None:
    assert at_once(launcher, there) == jobs
    assert threads_each(launcher, there) == threads


def test_gpus_are_those_that_may_be_seen() -> None:
    assert gpus_of({GPUS: "2,3"}) == ["2", "3"]
    assert gpus_of({GPUS: ""}) == []
    assert gpus_of({GPUS: "GPU-4f1a"}) == ["GPU-4f1a"]


SHARE = """
import json, os, sys
from chmed_ner.machine import take_share
{before}
take_share({launcher}, {number}, os.environ)
print(json.dumps([os.environ.get("OMP_NUM_THREADS"), os.environ.get("CUDA_VISIBLE_DEVICES"),
                  sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None]))
"""


def share(
    launcher: dict[str, object], number: int, before: str = "", **environment: str
) -> list[object]:
    """OMP_NUM_THREADS, the GPUs and torch's threads of a job in a process of its own."""
    import json

    kept = {k: v for k, v in os.environ.items() if k not in (*THREADS, GPUS)}
    done = subprocess.run(
        [sys.executable, "-c", SHARE.format(before=before, launcher=launcher, number=number)],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def test_jobs_at_once_take_a_gpu_each_by_their_number() -> None:
    each = str(max(1, cores() // 2))
    for number, gpu in ((0, "4"), (1, "5"), (2, "4")):
        assert share({"n_jobs": 2}, number, CUDA_VISIBLE_DEVICES="4,5") == [each, gpu, None]
    assert share({"n_jobs": 2}, 1, CUDA_VISIBLE_DEVICES="4") == [each, "4", None]
    assert share({}, 1, CUDA_VISIBLE_DEVICES="4,5") == [None, "4,5", None]


def test_what_the_user_has_set_stays() -> None:
    assert share({"n_jobs": 2}, 0, OMP_NUM_THREADS="7")[0] == "7"


def test_a_process_that_has_torch_keeps_its_gpu_and_takes_its_threads() -> None:
    found = share({"cpus_per_task": 1}, 1, before="import torch", CUDA_VISIBLE_DEVICES="4,5")
    assert found == ["1", "4,5", 1]


def test_nothing_changes_without_parallel_jobs() -> None:
    environment: dict[str, str] = {}
    take_share(
        {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}, 3, environment
    )
    assert environment == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"GOMP_SPINCOUNT": "20000000"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, {"OMP_WAIT_POLICY": "PASSIVE"}),
    ],
)
def test_what_the_user_says_of_idle_threads_stays(
    before: dict[str, str], after: dict[str, str]
) -> None:
    keep_threads_awake(before)
    assert before == after
