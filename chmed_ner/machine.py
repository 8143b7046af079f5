"""What a run takes of the machine: memory and its peak, time, cores, GPUs, a progress bar."""

import ctypes
import gc
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LINE_SECONDS = 60.0
"""Between two lines of a progress that is logged."""

log = logging.getLogger(__name__)


def prepare_memory() -> None:
    """Keep few compiled kernels, and large tensors in large pages; call it before torch allocates.

    oneDNN keeps a kernel of a megabyte or more for each of 1,024 shapes: batches whose lengths
    keep changing fill gigabytes. Pages of two megabytes make it fast to allocate large tensors.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    for variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(variable, "256")


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause Python's garbage collector during the block; collect once at its end.

    The collector scans every live object: pausing it while many are built saves 7% of the time.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()
            gc.collect(0)


class _TimeIsUp(BaseException):
    """No Exception, which the block might take for a failure of its own and go on."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """TimeoutError in a block that takes longer; only the main thread can be interrupted, in
    another one there is no limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise _TimeIsUp

    handler = signal.signal(signal.SIGALRM, stop)
    other = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _TimeIsUp:
        raise TimeoutError(f"it takes more than {seconds:g} seconds") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, *other)
        signal.signal(signal.SIGALRM, handler)


def reset_peak() -> None:
    """Count the peak from here on, where the system allows it (Linux; CUDA if torch is loaded)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return
    if cuda := _cuda():
        for device in range(cuda.device_count()):
            cuda.reset_peak_memory_stats(device)


def _cuda() -> Any:
    """`torch.cuda`, where it is in use; else None."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


def free_unused() -> None:
    """Free reference cycles (a model with accelerate's hooks is one), and torch's GPU memory."""
    gc.collect()
    if cuda := _cuda():
        cuda.empty_cache()


def give_back() -> None:
    """Give freed memory back to the system, where the C library is glibc.

    Batches whose lengths keep changing fragment the heap: a training would hold several times what
    it uses.
    """
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def peak_mib() -> float:
    """The process's peak resident memory, or the CUDA peak where that is larger, in MiB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        line = next(each for each in lines if each.startswith("VmHWM"))
        peak = int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = used / (1024 * 1024 if sys.platform == "darwin" else 1024)
    if cuda := _cuda():
        peak = max(peak, sum(map(cuda.max_memory_allocated, range(cuda.device_count()))) / 2**20)
    return peak


THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
GPUS = "CUDA_VISIBLE_DEVICES"


def keep_threads_awake(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let an idle thread wait for about half a second before it sleeps; call it before torch.

    Between the matrix products of a decoding step one thread works alone for milliseconds; threads
    that sleep meanwhile wake up late, above all on a virtual machine. What the user has set stays.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", "20000000")  # turns of a loop


def take_share(
    launcher: Mapping[str, Any], number: int, environment: MutableMapping[str, str]
) -> None:
    """Set the threads and the GPU of job `number` in `environment`; what is set already stays.

    `launcher` is the configuration of Hydra's launcher.
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
    """The threads of a job; None when this launcher runs one job at a time."""
    ray = ((launcher.get("ray") or {}).get("remote") or {}).get("num_cpus")
    if given := launcher.get("cpus_per_task") or ray:
        return max(1, int(given))
    jobs = at_once(launcher, cores_there)
    return max(1, cores_there // jobs) if jobs > 1 else None


def at_once(launcher: Mapping[str, Any], cores_there: int) -> int:
    """How many jobs run at once here; joblib's -1 means all cores, -2 all but one."""
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
    """The GPUs that may be used, by CUDA's names; found without torch."""
    if GPUS in environment:
        return [name for name in environment[GPUS].split(",") if name.strip()]
    devices = Path("/dev").glob("nvidia[0-9]*")
    return sorted((path.name.removeprefix("nvidia") for path in devices), key=int)


def progress(total: int, label: str, unit: str) -> Any:
    """A progress bar for a `with` block, `update(n)` moves it; off a terminal a log line a minute,
    with the time that is left."""
    if not sys.stderr.isatty():
        return _Lines(total, label, unit)
    from tqdm import tqdm

    return tqdm(total=total, desc=label, unit=f" {unit}", leave=False)


class _Lines:
    """A progress that is logged."""

    def __init__(self, total: int, label: str, unit: str) -> None:
        self.total, self.label, self.unit = total, label, unit
        self.done = 0
        self.began = self.said = time.monotonic()

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def update(self, more: int) -> None:
        """Count `more` as done; a minute after the last line, log one."""
        self.done += more
        now = time.monotonic()
        if now - self.said >= LINE_SECONDS and 0 < self.done < self.total:
            self.said = now
            left = duration((now - self.began) / self.done * (self.total - self.done))
            words = (self.label, self.done, self.total, self.unit, left)
            log.info("%s: %d of %d %ss, about %s left", *words)


def duration(seconds: float) -> str:
    """`seconds` for people: `40 seconds`, `12 minutes`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes"
