"""Does the CUDA path keep its word? One command, under 6 minutes, nothing to download.

    python experiments/benchmark/gpu_check.py [--tiny] [--shapes NAME ...] [--seconds N]

On models of random weights: our tokens, losses and gradients against transformers' in float32;
then speed and memory in bfloat16 beside the peers. Prints a table and writes `gpu_check.json`; what
the parts mean stands in README.md beside this file. Exit code 1 when something differs, fails or is
not finished.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench_about import about
from bench_run import QUIET
from gpu_shapes import FULL, SEED, TINY

from chmed_ner.errors import InputError
from chmed_ner.files import output_directory, write_json
from chmed_ner.machine import GPUS, gpus_of

SIDE = Path(__file__).with_name("gpu_side.py")
SECONDS = 345
"""For everything: what is not done by then is told, and left out."""

PARTS = ("tokens", "step", "decoding", "training", "nf4")
GOOD = {"holds", "measured", "skipped"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 unless every part holds or is skipped, 2 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="small shapes, on a CPU too: a try")
    parser.add_argument("--shapes", nargs="+", metavar="NAME", help="of these shapes alone")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for everything")
    parser.add_argument("--output", type=Path, default=output_directory() / "gpu_check")
    chosen = parser.parse_args(arguments)
    try:
        return check(chosen)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2


def check(chosen: argparse.Namespace) -> int:
    """All shapes, the smallest first; vLLM, which starts slowly, last."""
    end = time.monotonic() + chosen.seconds
    known = TINY if chosen.tiny else FULL
    shapes = chosen.shapes or list(known)
    if unknown := sorted(set(shapes) - set(known)):
        raise InputError(f"--shapes={unknown[0]}: choose among {', '.join(known)}")
    if not chosen.tiny and not has_gpu():
        raise InputError("torch sees no CUDA device; --tiny tries the check on a CPU")
    gpu: dict[str, Any] = {}
    found: dict[str, dict[str, Any]] = {shape: {} for shape in shapes}
    with tempfile.TemporaryDirectory(prefix="gpu_check_") as work:
        for parts in (PARTS, ("vllm",)) if find_spec("vllm") else (PARTS,):
            for shape in shapes:
                job = {"shape": shape, "parts": parts, "tiny": chosen.tiny}
                result = side(job, Path(work) / shape, chosen.output, end)
                gpu |= result["gpu"]
                found[shape] |= result["parts"]
                show(shape, result["parts"])
    if not find_spec("vllm"):
        print("vLLM is left out: it is not installed")
    path = chosen.output / "gpu_check.json"
    write_json(path, {**about([], [SEED]), "gpu": gpu, "tiny": chosen.tiny, "shapes": found})
    each = [part for parts in found.values() for part in parts.values()]
    bad = sum(part["status"] not in GOOD for part in each)
    print(f"{bad} of {len(each)} parts differ, failed or are unfinished; written: {path}")
    return int(bad > 0)


def has_gpu() -> bool:
    """Does torch see one?"""
    import torch

    return torch.cuda.is_available()


def side(job: dict[str, Any], folder: Path, output: Path, end: float) -> dict[str, Any]:
    """The parts of a job, measured in a process of its own, which is ended at the time `end`.

    A kernel that fails leaves a process that can use the GPU no more: the next shape begins anew.
    """
    folder.mkdir(exist_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    job_file, target = folder / "job.json", folder / "result.json"
    write_json(job_file, {**job, "folder": str(folder)})
    write_json(target, {"gpu": {}, "parts": {}, "running": job["parts"][0]})
    log = output / f"{job['shape']}-{job['parts'][0]}.log"
    environment = {**os.environ, **QUIET, "HF_HUB_OFFLINE": "1", GPUS: one_gpu(),
                   "VLLM_WORKER_MULTIPROCESSING_METHOD": "spawn"}  # fmt: skip
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(SIDE), str(job_file), str(target)],
            stdout=file, stderr=file, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - time.monotonic()))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with the processes that vLLM has started
                process.wait()
    result: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    if running := result.get("running"):
        died = time.monotonic() < end
        why = f"its process ended with {process.returncode}; {log}" if died else "no time was left"
        rest = job["parts"][job["parts"].index(running) :]
        status = "failed" if died else "unfinished"
        result["parts"] |= {part: {"status": status, "said": why} for part in rest}
    return result


def one_gpu() -> str:
    """The GPU that is measured: the first of those given, else the machine's first."""
    return gpus_of(os.environ)[0] if os.environ.get(GPUS) else "0"


def show(shape: str, parts: dict[str, Any]) -> None:
    """A row of the table for every part."""
    for part, found in parts.items():
        print(f"{shape:<12} {part:<9} {found['status']:<10} {found['said']}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
