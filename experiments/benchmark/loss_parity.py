"""The loss of our loop and of TRL's SFTTrainer, step by step on the same batches.

    python experiments/benchmark/loss_parity.py [--steps 100] [--seeds 13 14 15] [OVERRIDES ...]

`--peer trainer` compares with transformers' Trainer, which needs no extra.

Both sides start from the same adapters, read the same batches in the same order with the same
optimiser and schedule, and differ only in how they compute. Prints each seed's mean loss over the
last steps and writes every loss to `loss_parity.json`; exit code 1 when the means of some seed
differ by more than `--tolerance`.
"""

import argparse
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from bench_about import about
from bench_data import Material, material
from bench_peers import absent
from bench_run import Sides

from chmed_ner.errors import InputError
from chmed_ner.files import output_directory, write_json
from chmed_ner.machine import prepare_memory

LAST = 20
"""Steps at the end whose mean loss is compared."""

COLUMNS = ("seed", "ours", "theirs", "difference_percent")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train both sides, print and write; 2 when TRL is absent or the input is bad."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[13, 14, 15])
    parser.add_argument("--peer", choices=("trl", "trainer"), default="trl")
    parser.add_argument("--tolerance", type=float, default=2.0, help="percent")
    parser.add_argument("--output", type=Path, default=output_directory() / "bench")
    parser.add_argument("words", nargs="*", metavar="OVERRIDE", help="as for chmed-ner run")
    chosen = parser.parse_intermixed_args(arguments)
    logging.getLogger("chmed_ner").setLevel(logging.ERROR)
    prepare_memory()  # of both sides: here speed is not compared, and TRL's half is the longer one
    try:
        if chosen.steps < 2:
            raise InputError(f"--steps={chosen.steps}: give 2 or more")
        if chosen.peer == "trl" and (reason := absent()):
            raise InputError(f"{reason}; or compare with --peer=trainer")
        rows = [compared(chosen, seed) for seed in chosen.seeds]
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{'seed':>6} {'ours':>9} {chosen.peer:>9} {'difference':>11}")
    for row in rows:
        seed, ours, theirs, difference = (row[key] for key in COLUMNS)
        print(f"{seed:6} {ours:9.4f} {theirs:9.4f} {difference:10.2f}%")
    path = chosen.output / "loss_parity.json"
    write_json(path, {**about(rows[0]["words"], chosen.seeds), "rows": rows})
    print(f"mean over the last {min(LAST, chosen.steps)} of {chosen.steps} steps; written: {path}")
    return int(any(abs(row["difference_percent"]) > chosen.tolerance for row in rows))


def compared(chosen: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Both sides' losses with one seed, and their means over the last steps."""
    what = material(chosen.words, seed)
    work = chosen.output / "loss_parity" / str(seed)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    names = ("ours", chosen.peer)
    losses = {name: losses_of(Sides(work), what, name, chosen.steps, seed) for name in names}
    ours, theirs = (fmean(losses[name][-LAST:]) for name in names)
    return {
        "seed": seed,
        "words": what.words,
        "ours": ours,
        "theirs": theirs,
        "difference_percent": 100 * (ours - theirs) / theirs,
        "losses": losses,
    }


def losses_of(sides: Sides, what: Material, side: str, steps: int, seed: int) -> list[float]:
    """The loss before each of `steps` optimiser steps, without autocast, which rounds more."""
    job = what.job(side, what.taken(0, steps), seed, bf16=False, warm=1)
    losses: list[float] = sides.run(f"{side}-losses", job)["losses"]
    return losses


if __name__ == "__main__":
    raise SystemExit(main())
