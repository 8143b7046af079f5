"""Run the sides of a comparison, one after the other, each in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from chmed_ner.machine import keep_threads_awake

SIDE = Path(__file__).with_name("bench_side.py")
QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}


class Sides:
    """Runs jobs in `folder`, where their logs stay, with our interpreter or another."""

    def __init__(self, folder: Path, interpreter: str = sys.executable) -> None:
        self.folder = folder
        self.interpreter = interpreter
        self.count = 0

    @classmethod
    def fresh(cls, output: Path, interpreter: str = sys.executable) -> "Sides":
        """Those whose folder is `work` in `output`, emptied."""
        work = output / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        return cls(work, interpreter)

    def run(self, name: str, job: Mapping[str, Any], script: Path = SIDE) -> dict[str, Any]:
        """The result of a job; SystemExit with the end of its log when it fails."""
        job_file, result = self._file(name, "job.json"), self._file(name, "result.json")
        job_file.write_text(json.dumps(job, ensure_ascii=False), encoding="utf-8")
        self._call(name, [str(script), str(job_file), str(result)])
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found

    def program(self, name: str, words: Sequence[str]) -> float:
        """Run `chmed-ner` with `words`; its seconds from start to exit."""
        return self._call(name, ["-m", "chmed_ner", *words])

    def _file(self, name: str, ending: str) -> Path:
        return self.folder / f"{self.count:02d}-{name}.{ending}"

    def _call(self, name: str, words: Sequence[str]) -> float:
        environment = {**os.environ, **QUIET}
        keep_threads_awake(environment)  # on every side: it serves `generate` too
        path = self._file(name, "log")
        self.count += 1
        began = time.perf_counter()
        with path.open("wb") as log:
            done = subprocess.run(
                [self.interpreter, *words], stdout=log, stderr=log, env=environment
            )
        seconds = time.perf_counter() - began
        if done.returncode:
            tail = path.read_text(encoding="utf-8", errors="replace").splitlines()[-25:]
            raise SystemExit("\n".join([*tail, f"{name} failed; its log: {path}"]))
        print(f"  {name}: {seconds:.0f} s with start-up", flush=True)
        return seconds


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, smallest and largest of a ratio's rounds, and the rounds."""
    return {
        "median": median(values),
        "low": min(values),
        "high": max(values),
        "rounds": list(values),
    }


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """The slope of log y over log x by least squares: 1 is linear growth, below 1 slower."""
    import numpy as np

    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def linear_fit(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """y = slope * x + start by least squares, and how much of y's variance it explains (R2)."""
    import numpy as np

    slope, start = np.polyfit(x, y, 1)
    rest = np.asarray(y) - (slope * np.asarray(x) + start)
    total = float(np.var(y))
    return {
        "slope": float(slope),
        "start": float(start),
        "r2": 1 - float(np.var(rest)) / total if total else 1.0,
    }
