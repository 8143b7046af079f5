"""Speed and memory against TRL, transformers' Trainer and transformers' `generate`.

    python experiments/benchmark/bench.py [--run RUN] [--decoding] [--growth] [--smoke] [WORD ...]
    python experiments/benchmark/bench.py --llamacpp [--smoke] [WORD ...]

Prints ratios with their spread and writes them to `bench.json` (a flat object of medians), with
everything else in `bench_details.json`. What the keys mean and what is held equal stands in
README.md beside this file. A WORD is an override of `chmed-ner run` (`dataset=sample`,
`backbone=...`).
"""

import argparse
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_about import about
from bench_data import material
from bench_decoding import Decoding, Plan, compare, end_to_end, tuned
from bench_growth import expected_seconds, growth_with_length, growth_with_sentences
from bench_llamacpp import against_llamacpp
from bench_run import Sides
from bench_training import KEYS, Found, training

from chmed_ner.errors import InputError
from chmed_ner.files import output_directory, write_json


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

MINUTES = 45
"""What `make bench` may take; the growth with sentences comes last and is left out beyond it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", help="a LoRA-tuned run to decode with, instead of a short tuning")
    parser.add_argument("--growth", action="store_true", help="the greedy loop's growth as well")
    parser.add_argument("--decoding", action="store_true", help="decoding alone")
    parser.add_argument("--llamacpp", action="store_true", help="llama.cpp's server, nothing else")
    parser.add_argument("--smoke", action="store_true", help="the smallest scale: a try, no result")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--output", type=Path, default=output_directory() / "bench")
    parser.add_argument("words", nargs="*", metavar="OVERRIDE", help="as for chmed-ner run")
    chosen = parser.parse_intermixed_args(arguments)
    logging.getLogger("chmed_ner").setLevel(logging.ERROR)
    try:
        if chosen.llamacpp:
            against_llamacpp(chosen.words, chosen.seed, chosen.output, smoke=chosen.smoke)
        else:
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
    sides = Sides.fresh(chosen.output)
    run = tuned(sides, what, scale.tuning_steps, chosen.run)
    trained = Found(skipped=dict.fromkeys(KEYS, "decoding alone was asked for"))
    if not chosen.decoding:
        trained = training(sides, what, steps=scale.steps, rounds=scale.rounds, seed=chosen.seed)
    loop = Decoding(sides, what, run, scale.warm_up, chosen.seed)
    decoded = compare(loop, Plan(scale.sentences, scale.choice, scale.sizes, scale.rounds))
    if scale.lengths:
        decoded.details["growth_with_length"] = growth_with_length(loop)
    ends = end_to_end(loop, scale.sentences)
    found = [trained, decoded]
    ratios = {key: value for each in found for key, value in each.ratios.items()}

    def save() -> None:
        write_json(chosen.output / "bench.json", {key: ratios[key]["median"] for key in ratios})
        write_json(
            chosen.output / "bench_details.json",
            {
                **about(what.words, [chosen.seed]),
                "scale": "smoke" if chosen.smoke else "full",
                "seconds": time.perf_counter() - began,
                "ratios": ratios,
                "skipped": {key: why for each in found for key, why in each.skipped.items()},
                "training": trained.details,
                "decoding": decoded.details,
                "end_to_end": ends,
            },
        )

    save()  # what comes now takes minutes and adds no ratio
    left = 60 * MINUTES - (time.perf_counter() - began)
    grow(loop, scale.growth, left, decoded, both=chosen.growth)
    save()
    show(ratios, found, ends, chosen.output)


def grow(loop: Decoding, counts: Sequence[int], left: float, found: Found, *, both: bool) -> None:
    """Growth with the number of sentences: constrained if `left` seconds suffice, or both loops."""
    needed = expected_seconds(counts, found.details["sentences_per_second"]["constrained"])
    if needed > left and not both:
        found.skipped["growth_with_sentences"] = (
            f"it may take {needed / 60:.0f} minutes, which is beyond {MINUTES} in all; --growth "
            "measures it all the same"
        )
        return
    found.details["growth_with_sentences"] = {
        name: growth_with_sentences(loop, name, counts)
        for name in (("ours", "constrained") if both else ("constrained",))
    }


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
    if "growth_with_length" in decoded:
        exponent = decoded["growth_with_length"]["exponent"]
        print(f"growth with length: seconds as tokens to the power of {exponent:.2f}")
    for name, growth in decoded.get("growth_with_sentences", {}).items():
        taken = ", ".join(f"{seconds:.1f}" for seconds in growth["seconds"])
        counts = ", ".join(map(str, growth["sentences"]))
        print(
            f"growth with sentences ({name}): {counts} in {taken} s, R2 {growth['fit']['r2']:.5f}"
        )
    print(
        f"end to end: {ends['sentences']} sentences in {ends['seconds']:.0f} s, start-up included "
        f"({ends['sentences_per_second']:.1f} a second)"
    )
    print(f"written: {output / 'bench.json'}, {output / 'bench_details.json'}")


if __name__ == "__main__":
    raise SystemExit(main())
