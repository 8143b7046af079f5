"""How a run takes memory, and its peak, although the jobs of a sweep share one process."""

import ctypes
import gc
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
