"""Decoding side by side on one tuned model: our loop, constrained, and transformers' `generate`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_data import Material
from bench_run import Sides, spread
from bench_training import Found

from chmed_ner.errors import InputError
from chmed_ner.track import find_run

DECODERS = {"generate": "greedy", "ours": "greedy", "constrained": "constrained"}
"""The sides, and the `decoding` each is configured with."""


@dataclass(frozen=True)
class Plan:
    """How much is decoded: sentences timed, sentences for the choice among `sizes`, rounds."""

    sentences: int
    choice: int
    sizes: tuple[int, ...]
    rounds: int


def tuned(sides: Sides, what: Material, steps: int, run: str | None) -> Path:
    """The directory of a tuned run: `run`, or one that is tuned now for a few `steps`.

    InputError when `run` is none or holds no adapter.
    """
    if run is not None:
        directory = find_run(run, key="--run")
        if not (directory / "adapter").is_dir():
            raise InputError(f"--run={run}: {directory} holds no adapter/; name a LoRA-tuned run")
        return directory
    size = what.recipe["batch_size"]
    wanted = steps * size
    sentences = min(wanted, what.training_sentences)
    output = sides.folder / "tuning"
    sides.program(
        "tuning",
        ["run", *what.words, "regime=lora", f"regime.epochs={max(1, round(wanted / sentences))}",
         f"limit.train={sentences}", "limit.validation=0", "limit.test=0",
         f"paths.output={output}"],
    )  # fmt: skip
    return next((output / "runs").iterdir())


@dataclass(frozen=True)
class Decoding:
    """Lets a side answer sentences with the tuned model of a run, in a process of its own."""

    sides: Sides
    what: Material
    run: Path
    warm_up: int
    seed: int

    def answers(
        self, name: str, decoder: str, sentences: Sequence[Sequence[str]], size: int = 0
    ) -> dict[str, Any]:
        """Seconds, texts and tokens of each list of sentences, and the peak memory of them all.

        `decoder` is one of `DECODERS`, `size` the batch size of `generate`.
        """
        words = (w for w in self.what.words if not w.startswith(("decoding=", "regime")))
        job = {
            "decoder": decoder,
            "words": [*words, "regime=zero_shot", f"decoding={DECODERS[decoder]}"],
            "adapter": str(self.run / "adapter"),
            "batch_size": size,
            "sentences": sentences,
            "warm_up": self.what.sentences(self.warm_up, self.seed, "warm-up"),
        }
        return self.sides.run(name, job)


def compare(loop: Decoding, plan: Plan) -> Found:
    """Seconds for the same sentences, the sides taking turns over the rounds."""
    found = Found()
    chosen = [loop.what.sentences(plan.choice, loop.seed, "choice")]
    by_size = {
        size: loop.answers(f"generate-{size}", "generate", chosen, size)["parts"][0]["seconds"]
        for size in plan.sizes
    }
    best = min(by_size, key=lambda size: by_size[size])
    found.details["generate_seconds_by_batch_size"] = by_size
    found.details["generate_batch_size"] = best
    sentences = [loop.what.sentences(plan.sentences, loop.seed, "timed")]
    results: dict[str, list[Mapping[str, Any]]] = {name: [] for name in DECODERS}
    names = list(DECODERS)
    for number in range(plan.rounds):
        for name in names[number % 3 :] + names[: number % 3]:
            results[name].append(loop.answers(f"{name}-round{number + 1}", name, sentences, best))
    _ratios(results, len(sentences[0]), found)
    return found


def _ratios(results: Mapping[str, Sequence[Any]], count: int, found: Found) -> None:
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


def end_to_end(loop: Decoding, count: int) -> dict[str, float]:
    """A whole `chmed-ner run` with a saved adapter, from its start to its exit."""
    output = loop.sides.folder / "end_to_end"
    words = [word for word in loop.what.words if not word.startswith("regime")]
    seconds = loop.sides.program(
        "end-to-end",
        ["run", *words, "regime=adapter", f"regime.path={loop.run}", f"limit.test={count}",
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
