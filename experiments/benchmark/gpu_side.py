"""Parts of the GPU check on one shape, alone in a process: `gpu_side.py JOB.json RESULT.json`.

The result is written after every part. What does not fit is left out with its reason; what fails is
told, and the next part goes on.
"""

import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_same
import gpu_shapes
import gpu_speed
import gpu_subject
from gpu_subject import Measured, Subject, Unfit

from chmed_ner.errors import first_line
from chmed_ner.files import write_json

PARTS: dict[str, Callable[[Subject], Measured]] = {
    "tokens": gpu_same.tokens,
    "step": gpu_same.step,
    "decoding": gpu_speed.decoding,
    "training": gpu_speed.training,
    "nf4": gpu_speed.nf4,
    "vllm": gpu_speed.vllm,
}


def measured(part: str, subject: Subject) -> Measured:
    """The part's result; without one, `skipped` or `failed` with the reason."""
    import torch

    try:
        return PARTS[part](subject)
    except Unfit as reason:
        return Measured("skipped", str(reason))
    except torch.OutOfMemoryError as error:
        return Measured("skipped", f"the GPU's memory does not suffice ({first_line(error)})")
    except Exception as error:  # a driver, a kernel, a peer: each fails in its own way
        traceback.print_exc()
        return Measured("failed", f"{type(error).__name__}: {first_line(error)}")


def about_device(device: Any) -> dict[str, Any]:
    """What the GPU is; of a CPU only that it is one."""
    import torch

    if device.type != "cuda":
        return {"device": device.type}
    found = torch.cuda.get_device_properties(device)
    return {
        "device": found.name,
        "capability": f"{found.major}.{found.minor}",
        "memory_gib": round(found.total_memory / 2**30, 1),
        "cuda": torch.version.cuda,
    }


def main() -> None:
    """Measure the job's parts one after the other."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    target, folder = Path(sys.argv[2]), Path(job["folder"])
    import torch

    torch.set_float32_matmul_precision("highest")  # no TF32 where tokens are compared
    shapes = gpu_shapes.TINY if job["tiny"] else gpu_shapes.FULL
    shape = shapes[job["shape"]]
    if not (folder / "config.json").is_file():
        gpu_shapes.write_folder(shape, folder)
    scale = gpu_subject.TINY if job["tiny"] else gpu_subject.FULL
    subject = Subject(shape, folder, scale)
    gpu = {**about_device(subject.device), "dtype": subject.dtype}
    result: dict[str, Any] = {"gpu": gpu, "parts": {}}
    for part in job["parts"]:
        write_json(target, {**result, "running": part})
        began = time.perf_counter()
        found = measured(part, subject)
        result["parts"][part] = {**vars(found), "seconds": time.perf_counter() - began}
    write_json(target, result)


if __name__ == "__main__":
    main()
