"""How a run takes memory, and its peak, although the jobs of a sweep share one process."""

import ctypes
import gc
import os
import resource
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def prepare_memory() -> None:
    """Keep few compiled matrix kernels, hold large tensors in large pages; to be called before
    torch allocates or multiplies for the first time.

    On a CPU, oneDNN compiles a kernel for every new shape and keeps 1,024 of them, a megabyte or
    more each: batches of ever other lengths fill gigabytes that are hardly used again. Tensors of
    ever other sizes are allocated anew, and the system hands their pages over one by one: with
    pages of two megabytes, where Linux offers them, in a few steps.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    for variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(variable, "256")


@contextmanager
def collection_paused() -> Iterator[None]:
    """Within the block Python looks for no unreachable cycles of objects; once, at its end, for
    those that were made in it.

    To find them it goes through everything that is alive, again and again while much is made: with
    a corpus, prompts and the automata of many sentences that took one part in fifteen of the time.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()
            gc.collect(0)


def reset_peak() -> None:
    """Start counting anew, where the system allows it (Linux; CUDA too if torch is loaded)."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(device)


def free_unused() -> None:
    """Free what only a cycle of objects still holds, and memory that torch keeps on CUDA devices.

    A model under accelerate's hooks is such a cycle.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def give_back() -> None:
    """Hand freed memory back to the system, where the C library is glibc.

    Batches of ever other lengths leave its heap in pieces: without this, a tuning run's memory
    grows to several times what it uses.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def peak_mib() -> float:
    """The process's peak resident memory, or the CUDA peak where that is larger, in MiB."""
    peak = 0.0
    try:
        line = next(x for x in _STATUS.read_text().splitlines() if x.startswith("VmHWM"))
        peak = int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = used / (1024 * 1024 if sys.platform == "darwin" else 1024)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        devices = range(torch.cuda.device_count())
        peak = max(peak, sum(map(torch.cuda.max_memory_allocated, devices)) / 2**20)
    return peak


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


def progress(total: int, label: str, unit: str) -> Any:
    """A bar to use in a `with` block; `update(n)` moves it. Silent when nobody watches."""
    from tqdm import tqdm

    return tqdm(
        total=total, desc=label, unit=f" {unit}", disable=not sys.stderr.isatty(), leave=False
    )


def duration(seconds: float) -> str:
    """`seconds` for people: `40 seconds`, `12 minutes`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes"
