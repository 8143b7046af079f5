"""What a benchmark's figures depend on: machine, versions, commit, seeds, command."""

import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from chmed_ner.machine import cores
from chmed_ner.track import git_commit, versions

PEERS = ("trl", "datasets", "accelerate", "xllamacpp")
"""Packages that only the peers use."""


def about(words: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """Everything but the figures themselves."""
    import torch

    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "words": words,
        "seeds": seeds,
        "commit": git_commit(),
        "versions": {**versions(), **peer_versions(), "python": platform.python_version()},
        "machine": {
            "processor": processor(),
            "cores": cores(),
            "torch_threads": torch.get_num_threads(),
            "memory_gib": round(memory_gib(), 1),
            "system": f"{platform.system()} {platform.release()}",
        },
    }


def peer_versions() -> dict[str, str]:
    """The versions of those of `PEERS` that are installed."""
    found = {}
    for name in PEERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(x.partition(":")[2].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def memory_gib() -> float:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
