"""Decoding side by side on one tuned model: our loop, constrained, and transformers' `generate`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_data import Material
from bench_run import Sides, exponent, linear_fit, spread
from bench_training import Found

from chmed_ner.errors import InputError
from chmed_ner.records import find_run

DECODERS = {"generate": "greedy", "ours": "greedy", "constrained": "constrained"}
"""The sides, and the `decoding` each is configured with."""


@dataclass(frozen=True)
class Plan:
    """How much is decoded: sentences timed, sentences for the choice among `sizes`, rounds.

    `growth` are the numbers of sentences over which growth is fitted, none for no fit.
    """

    sentences: int
    choice: int
    sizes: tuple[int, ...]
    rounds: int
    warm_up: int
    tuning_steps: int
    seed: int
    lengths: bool
    growth: tuple[int, ...]


def tuned(sides: Sides, what: Material, plan: Plan, run: str | None) -> Path:
    """The directory of a tuned run: `run`, or one that is tuned now for a few steps.

    InputError when `run` is none or holds no adapter.
    """
    if run is not None:
        directory = find_run(run, key="--run")
        if not (directory / "adapter").is_dir():
            raise InputError(f"--run={run}: {directory} holds no adapter/; name a LoRA-tuned run")
        return directory
    size = what.recipe["batch_size"]
    wanted = plan.tuning_steps * size
    sentences = min(wanted, what.training_sentences)
    output = sides.folder / "tuning"
    sides.program(
        "tuning",
        ["run", *what.words, "regime=lora", f"regime.epochs={max(1, round(wanted / sentences))}",
         f"limit.train={sentences}", "limit.validation=0", "limit.test=0",
         f"paths.output={output}"],
    )  # fmt: skip
    return next((output / "runs").iterdir())


def decoding(sides: Sides, what: Material, plan: Plan, run: Path) -> Found:
    """Seconds for the same sentences, the sides taking turns over the rounds."""
    found = Found()

    def side(name: str, decoder: str, sentences: Sequence[Sequence[str]], size: int = 0) -> Any:
        job = {
            "decoder": decoder,
            "words": [
                *(word for word in what.words if not word.startswith(("decoding=", "regime"))),
                "regime=zero_shot", f"decoding={DECODERS[decoder]}",
            ],
            "adapter": str(run / "adapter"),
            "batch_size": size,
            "sentences": sentences,
            "warm_up": what.sentences(plan.warm_up, plan.seed, "warm-up"),
        }  # fmt: skip
        return sides.run(name, job)

    chosen = [what.sentences(plan.choice, plan.seed, "choice")]
    by_size = {
        size: side(f"generate-{size}", "generate", chosen, size)["parts"][0]["seconds"]
        for size in plan.sizes
    }
    best = min(by_size, key=lambda size: by_size[size])
    found.details["generate_seconds_by_batch_size"] = by_size
    found.details["generate_batch_size"] = best
    sentences = [what.sentences(plan.sentences, plan.seed, "timed")]
    results: dict[str, list[Mapping[str, Any]]] = {name: [] for name in DECODERS}
    names = list(DECODERS)
    for number in range(plan.rounds):
        for name in names[number % 3 :] + names[: number % 3]:
            results[name].append(side(f"{name}-round{number + 1}", name, sentences, best))
    _compare(results, len(sentences[0]), found)
    if plan.lengths:
        groups = what.by_length(4, 32)  # twice: the first pass compiles kernels for new shapes
        parts = side("lengths", "ours", [*groups, *groups])["parts"]
        found.details["growth_with_length"] = _lengths(parts[len(groups) :])
    if plan.growth:
        order = what.sentences(len(what.test), plan.seed, "growth")
        lists = [[order[at % len(order)] for at in range(count)] for count in plan.growth]
        found.details["growth_with_sentences"] = {
            name: _growth(plan.growth, side(f"growth-{name}", name, lists)["parts"])
            for name in ("ours", "constrained")
        }
    return found


def _compare(results: Mapping[str, Sequence[Any]], count: int, found: Found) -> None:
    seconds = {
        name: [one["parts"][0]["seconds"] for one in rounds] for name, rounds in results.items()
    }
    for name, key in (("ours", "decode_vs_generate"), ("constrained", "constrained_vs_generate")):
        pairs = zip(seconds["generate"], seconds[name], strict=True)
        found.ratios[key] = spread([theirs / mine for theirs, mine in pairs])
        peaks = zip(results["generate"], results[name], strict=True)
        found.ratios[key.replace("_vs", "_memory_vs")] = spread(
            [mine["peak_mib"] / theirs["peak_mib"] for theirs, mine in peaks]
        )
    texts = {name: rounds[0]["parts"][0]["texts"] for name, rounds in results.items()}
    found.details["sentences"] = count
    found.details["sentences_per_second"] = {
        name: spread([count / each for each in taken]) for name, taken in seconds.items()
    }
    found.details["completion_tokens"] = {
        name: rounds[0]["parts"][0]["completion_tokens"] for name, rounds in results.items()
    }
    found.details["same_text_as_generate"] = {
        name: sum(a == b for a, b in zip(texts["generate"], texts[name], strict=True))
        for name in ("ours", "constrained")
    }


def _growth(counts: Sequence[int], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Seconds for growing numbers of sentences drawn by chance, and the line through them."""
    seconds = [part["seconds"] for part in parts]
    return {"sentences": counts, "seconds": seconds, "fit": linear_fit(counts, seconds)}


def _lengths(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Seconds against tokens over groups of sentences of growing length.

    The tokens are those of prompts and answers without the prefix that all prompts share.
    """
    tokens = [part["own_tokens"] for part in parts]
    seconds = [part["seconds"] for part in parts]
    return {"tokens": tokens, "seconds": seconds, "exponent": exponent(tokens, seconds)}


def end_to_end(sides: Sides, what: Material, run: Path, count: int) -> dict[str, float]:
    """A whole `chmed-ner run` with a saved adapter, from its start to its exit."""
    output = sides.folder / "end_to_end"
    words = [word for word in what.words if not word.startswith("regime")]
    seconds = sides.program(
        "end-to-end",
        ["run", *words, "regime=adapter", f"regime.path={run}", f"limit.test={count}",
         f"paths.output={output}"],
    )  # fmt: skip
    directory = next((output / "runs").iterdir())
    metrics = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
    lines = (directory / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        "sentences": len(lines),
        "seconds": seconds,
        "sentences_per_second": len(lines) / seconds,
        "generation_sentences_per_second": metrics["time/sentences_per_second"],
    }
