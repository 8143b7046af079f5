"""Speed and memory against TRL, transformers' Trainer and transformers' `generate`.

    python experiments/benchmark/bench.py [--run RUN] [--growth] [--smoke] [OVERRIDES ...]

Prints ratios with their spread and writes them to `bench.json` (a flat object of medians), with
everything else in `bench_details.json`. What the keys mean and what is held equal stands in
README.md beside this file. OVERRIDES are those of `chmed-ner run` (`dataset=sample`,
`backbone=...`).
"""

import argparse
import logging
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_about import about
from bench_data import material
from bench_decoding import Plan, decoding, end_to_end, tuned
from bench_run import Sides
from bench_training import Found, training

from chmed_ner.errors import InputError
from chmed_ner.files import write_json
from chmed_ner.paths import output_directory


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    steps: int
    rounds: int
    sentences: int
    choice: int
    sizes: tuple[int, ...]
    warm_up: int
    tuning_steps: int
    lengths: bool
    growth: tuple[int, ...]


FULL = Scale(15, 3, 128, 64, (8, 16, 32, 64), 8, 60, True, (1000, 2000, 4000))
SMOKE = Scale(2, 1, 4, 2, (4,), 1, 2, False, (2, 4, 8))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", help="a LoRA-tuned run to decode with, instead of a short tuning")
    parser.add_argument("--growth", action="store_true", help="also 1k, 2k, 4k sentences (longer)")
    parser.add_argument("--decoding", action="store_true", help="decoding alone")
    parser.add_argument("--smoke", action="store_true", help="the smallest scale: a try, no result")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--output", type=Path, default=output_directory() / "bench")
    parser.add_argument("words", nargs="*", metavar="OVERRIDE", help="as for chmed-ner run")
    chosen = parser.parse_intermixed_args(arguments)
    logging.getLogger("chmed_ner").setLevel(logging.ERROR)
    try:
        measure(chosen, SMOKE if chosen.smoke else FULL)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def measure(chosen: argparse.Namespace, scale: Scale) -> None:
    """All comparisons, and their two files."""
    began = time.perf_counter()
    what = material(chosen.words, chosen.seed)
    print(f"{' '.join(what.words)}; weights in {what.dtype} on {what.device}", flush=True)
    work = chosen.output / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    sides = Sides(work)
    plan = Plan(
        sentences=scale.sentences,
        choice=scale.choice,
        sizes=scale.sizes,
        rounds=scale.rounds,
        warm_up=scale.warm_up,
        tuning_steps=scale.tuning_steps,
        seed=chosen.seed,
        lengths=scale.lengths,
        growth=scale.growth if chosen.growth else (),
    )
    run = tuned(sides, what, plan, chosen.run)
    trained = Found()
    if not chosen.decoding:
        trained = training(sides, what, steps=scale.steps, rounds=scale.rounds, seed=chosen.seed)
    found = [trained, decoding(sides, what, plan, run)]
    ends = end_to_end(sides, what, run, scale.sentences)
    ratios = {key: value for each in found for key, value in each.ratios.items()}
    write_json(chosen.output / "bench.json", {key: ratios[key]["median"] for key in ratios})
    write_json(
        chosen.output / "bench_details.json",
        {
            **about(what.words, [chosen.seed]),
            "scale": "smoke" if chosen.smoke else "full",
            "seconds": time.perf_counter() - began,
            "ratios": ratios,
            "skipped": {key: why for each in found for key, why in each.skipped.items()},
            "training": found[0].details,
            "decoding": found[1].details,
            "end_to_end": ends,
        },
    )
    show(ratios, found, ends, chosen.output)


def show(
    ratios: Mapping[str, Mapping[str, Any]],
    found: Sequence[Found],
    ends: Mapping[str, float],
    output: Path,
) -> None:
    """The table of ratios, and where the rest is."""
    width = max(map(len, ratios))
    print(f"\n{'ratio':<{width}}   median      low     high")
    for key, value in ratios.items():
        print(f"{key:<{width}} {value['median']:8.2f} {value['low']:8.2f} {value['high']:8.2f}")
    for each in found:
        for key, why in each.skipped.items():
            print(f"{key}: left out, {why}")
    decoded = found[1].details
    same = decoded["same_text_as_generate"]["ours"]
    print(
        f"generate at batch size {decoded['generate_batch_size']}; our greedy loop wrote the same"
    )
    print(f"text on {same} of {decoded['sentences']} sentences")
    print(
        f"end to end: {ends['sentences']} sentences in {ends['seconds']:.0f} s, start-up included "
        f"({ends['sentences_per_second']:.1f} a second)"
    )
    print(f"written: {output / 'bench.json'}, {output / 'bench_details.json'}")


if __name__ == "__main__":
    raise SystemExit(main())
