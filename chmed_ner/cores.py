"""A parallel job's share of the machine, so that jobs on one machine do not fight for it.

Two processes with as many spinning threads as there are cores each run several times slower than
one after the other.
"""

import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
GPUS = "CUDA_VISIBLE_DEVICES"


SPINS = "20000000"
"""Turns of GNU OpenMP's waiting loop: about half a second."""


def keep_threads_awake(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let a thread with nothing to do wait for about half a second before it sleeps.

    To be called before torch is imported. Between the products of a decoding step one thread works
    alone for some milliseconds; others that have gone to sleep meanwhile come back late, above all
    on a virtual machine. What the user has set stays.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", SPINS)


def take_share(
    launcher: Mapping[str, Any], number: int, environment: MutableMapping[str, str]
) -> None:
    """Set threads and GPU of job `number` in `environment`, before torch is imported.

    `launcher` is the launcher's configuration. What is set already stays, as does a GPU that this
    process has used before.
    """
    threads = threads_each(launcher, cores())
    if threads is not None:
        for variable in THREADS:
            environment.setdefault(variable, str(threads))
    torch = sys.modules.get("torch")
    if torch is not None:
        if threads is not None:
            torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
        return
    gpus = gpus_of(environment)
    if at_once(launcher, cores()) > 1 and len(gpus) > 1:
        environment[GPUS] = gpus[number % len(gpus)]


def threads_each(launcher: Mapping[str, Any], cores_there: int) -> int | None:
    """The threads of each job; None when the jobs do not share the machine by this launcher.

    joblib says how many jobs run at once; submitit and Ray say how many processors a job has.
    """
    given = launcher.get("cpus_per_task") or _ray_processors(launcher)
    if given:
        return max(1, int(given))
    jobs = at_once(launcher, cores_there)
    return max(1, cores_there // jobs) if jobs > 1 else None


def at_once(launcher: Mapping[str, Any], cores_there: int) -> int:
    """How many jobs run at once on this machine; joblib counts down from all cores below 0."""
    jobs = launcher.get("n_jobs")
    if not isinstance(jobs, int):
        return 1
    return jobs if jobs > 0 else max(1, cores_there + 1 + jobs)


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus_of(environment: Mapping[str, str]) -> list[str]:
    """The GPUs that may be used, as CUDA names them; found without torch."""
    visible = environment.get(GPUS)
    if visible is not None:
        return [name for name in visible.split(",") if name.strip()]
    devices = Path("/dev").glob("nvidia[0-9]*")
    return sorted((path.name.removeprefix("nvidia") for path in devices), key=int)


def _ray_processors(launcher: Mapping[str, Any]) -> Any:
    return ((launcher.get("ray") or {}).get("remote") or {}).get("num_cpus")
