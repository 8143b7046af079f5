"""Training side by side: seconds a step, peak memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench_data import Material
from bench_peers import SFT, SHARED, absent
from bench_run import Sides, spread

WARM = 1
"""Steps of each process that are not timed."""

WITH_TRL = ("train_vs_trl", "train_memory_vs_trl", "train_memory_vs_trl_checkpointing")
KEYS = (*WITH_TRL, "train_vs_trainer")
"""The ratios of training."""


@dataclass
class Found:
    """Ratios by key with their spread, everything else worth keeping, and what was left out."""

    ratios: dict[str, dict[str, Any]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def training(sides: Sides, what: Material, *, steps: int, rounds: int, seed: int) -> Found:
    """`steps` timed steps a side, over `rounds` rounds in which the sides take turns."""
    found = Found()
    reason = absent()
    peers = ["trainer"] if reason else ["trl", "trainer"]
    if reason:
        print(f"TRL is left out: {reason}")
        found.skipped = dict.fromkeys(WITH_TRL, reason)
    autocast = {
        peer: rounds > 1 and fastest_precision(sides, what, peer, seed, found) for peer in peers
    }
    told = {**SHARED, **({} if reason else {"SFTConfig only": SFT}), "bf16": autocast}
    print(f"peers: weights {what.dtype}, adapters float32, {told}")
    speed(sides, what, autocast, (steps, rounds, seed), found)
    if not reason:
        memory(sides, what, seed, autocast["trl"], found)
    found.details |= {"peers_told": told, "recipe": what.recipe, "weights": what.dtype}
    return found


def fastest_precision(sides: Sides, what: Material, peer: str, seed: int, found: Found) -> bool:
    """Is the peer faster under bfloat16 autocast than without? Both tried on the same steps."""
    seconds = {}
    for bf16 in (False, True):
        job = what.job(peer, what.taken(0, WARM + 2), seed, bf16=bf16, warm=WARM)
        name = f"{peer}-{'autocast' if bf16 else 'plain'}"
        seconds[bf16] = sum(sides.run(name, job)["seconds"])
    trials = found.details.setdefault("autocast_trial_seconds", {})
    trials[peer] = {str(key): value for key, value in seconds.items()}
    return seconds[True] < seconds[False]


def speed(
    sides: Sides,
    what: Material,
    autocast: Mapping[str, bool],
    plan: tuple[int, int, int],
    found: Found,
) -> None:
    """The rounds: in each every side reads the same batches, and another side begins.

    `autocast` says for each peer whether it runs under bfloat16 autocast.
    """
    steps, rounds, seed = plan
    each = max(1, steps // rounds)
    names = ["ours", *autocast]
    results: dict[str, list[Mapping[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        batches = what.taken(number * (WARM + each), WARM + each)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            bf16 = autocast.get(name, False)
            job = what.job(name, batches, seed + number, bf16=bf16, warm=WARM)
            results[name].append(sides.run(f"{name}-round{number + 1}", job))
    seconds = {name: [sum(one["seconds"]) for one in found_] for name, found_ in results.items()}
    for peer in autocast:
        pairs = zip(seconds[peer], seconds["ours"], strict=True)
        found.ratios[f"train_vs_{peer}"] = spread([theirs / ours for theirs, ours in pairs])
    found.details["examples_per_second"] = {
        name: spread([one["examples"] / sum(one["seconds"]) for one in results[name]])
        for name in names
    }
    found.details["step_seconds"] = {
        name: [one["seconds"] for one in results[name]] for name in names
    }


def memory(sides: Sides, what: Material, seed: int, bf16: bool, found: Found) -> None:
    """Peak memory of whole processes over the longest batch of the epoch and two others."""
    longest = max(what.batches, key=lambda batch: max(map(len, batch)))
    batches = [longest, *what.taken(0, 2)]
    variants: dict[str, dict[str, Any]] = {
        "ours": {},
        "trl": {},
        "trl_checkpointing": {"gradient_checkpointing": True},
    }
    peaks = {}
    for name, more in variants.items():
        job = what.job(name.partition("_")[0], batches, seed, bf16=bf16, warm=WARM, **more)
        peaks[name] = sides.run(f"{name}-memory", job)["peak_mib"]
    found.details["train_peak_mib"] = peaks
    for name in ("trl", "trl_checkpointing"):
        found.ratios[f"train_memory_vs_{name}"] = spread([peaks["ours"] / peaks[name]])
