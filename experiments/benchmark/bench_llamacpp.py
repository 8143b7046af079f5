"""Zero-shot decoding beside llama.cpp's server with the same GGUF file, at its best setting."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

from bench_about import about
from bench_data import named, on_dataset
from bench_llamacpp_questions import Questions, Setting, questions
from bench_run import Sides, spread

from chmed_ner.errors import InputError
from chmed_ner.files import write_json
from chmed_ner.machine import cores

KEY = "decode_vs_llamacpp"
MEMORY = "decode_memory_vs_llamacpp"

SETTINGS: dict[str, tuple[Any, ...]] = {
    "slots": (4, 8, 16, 2, 1),
    "threads": tuple(range(cores(), 0, -1)),
    "threads_awake": (False, True),
    "flash_attention": ("auto", "disabled"),
    "ubatch": (512, 128, 2048),
    "batch": (2048, 512),
    "unified_cache": (False, True),
    "guesses": ("none", "ngram_simple", "ngram_mod"),
}
"""What is tried of llama.cpp's server; `auto` is flash attention wherever it can be, and threads
are kept awake between products as ours are, or not."""


@dataclass(frozen=True)
class Plan:
    """How many sentences of each kind, how many rounds, and how many values of each setting."""

    sentences: Mapping[str, int]
    rounds: int
    values: int | None


FULL = Plan({"timed": 128, "warm-up": max(SETTINGS["slots"]), "choice": 32}, 3, None)
SMOKE = Plan({"timed": 4, "warm-up": 2, "choice": 2}, 1, 2)


def best_setting(
    seconds: Callable[[Setting], float], values: int | None
) -> tuple[Setting, list[dict[str, Any]]]:
    """The fastest setting, found one knob after the other and the slots once more, and all tried.

    Of each knob the first `values` are tried.
    """
    tried: dict[tuple[Any, ...], dict[str, Any]] = {}

    def timed(setting: Setting) -> float:
        key = tuple(setting.values())
        if key not in tried:
            tried[key] = {**setting, "seconds": seconds(setting)}
        return float(tried[key]["seconds"])

    best: Setting = {name: each[0] for name, each in SETTINGS.items()}
    for name in (*SETTINGS, "slots"):
        best = min(({**best, name: each} for each in SETTINGS[name][:values]), key=timed)
    return best, list(tried.values())


def against_llamacpp(words: Sequence[str], seed: int, output: Path, *, smoke: bool) -> None:
    """Measure both sides, print, and write `bench.json` and `bench_details.json`.

    InputError when the server is not installed, or `words` do not describe a run that it can do.
    """
    if util.find_spec("xllamacpp") is None:
        raise InputError("--llamacpp: xllamacpp is not installed; it is in the extra 'bench'")
    plan = SMOKE if smoke else FULL
    backbone = f"qwen2_5_coder_{'0_5b' if smoke else '1_5b'}"
    defaults = {"backbone": backbone, "regime": "zero_shot", "decoding": "greedy"}
    added = [f"{group}={name}" for group, name in defaults.items() if not named(words, group)]
    what = on_dataset(
        (*words, *added, "tracking=dry", f"seed={seed}"),
        lambda chosen: questions(chosen, seed, plan.sentences),
    )
    print(" ".join(what.words), flush=True)
    sides = Sides.fresh(output)

    def seconds(setting: Setting) -> float:
        found = what.theirs(sides, "llamacpp-choice", setting, "choice")["seconds"]
        print(f"  {found:.1f} s: {setting}", flush=True)
        return float(found)

    best, tried = best_setting(seconds, plan.values)
    rounds = in_turns(what, sides, best, plan.rounds)
    details = compared(what, rounds)
    details["choice"] = {"sentences": len(what.drawn["choice"]), "tried": tried}
    first = rounds["llamacpp"][0]
    built = {name: first[name] for name in ("version", "built_with")}
    settings = {"ours": what.setting(), "llamacpp": {**best, **built}}
    ratios = details.pop("ratios")
    medians = {key: value["median"] for key, value in ratios.items()}
    write_json(output / "bench.json", {**medians, f"{KEY}_settings": settings})
    write_json(
        output / "bench_details.json",
        {
            **about(what.words, [seed]),
            "scale": "smoke" if smoke else "full",
            "ratios": ratios,
            "settings": settings,
            "file": what.file.name,
            "llamacpp": details,
        },
    )
    show(ratios, settings, details)
    print(f"written: {output / 'bench.json'}, {output / 'bench_details.json'}")


def in_turns(
    what: Questions, sides: Sides, best: Setting, rounds: int
) -> dict[str, list[dict[str, Any]]]:
    """What each side found in each round; another one begins each round."""
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "llamacpp": []}
    for number in range(1, rounds + 1):
        for side in list(found)[:: 1 if number % 2 else -1]:
            name = f"{side}-round{number}"
            ours = side == "ours"
            found[side].append(what.ours(sides, name) if ours else what.theirs(sides, name, best))
    return found


def compared(what: Questions, rounds: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The ratios, and what they are made of."""
    pairs = list(zip(rounds["ours"], rounds["llamacpp"], strict=True))
    count = len(what.drawn["timed"])
    return {
        "ratios": {
            KEY: spread([theirs["seconds"] / ours["seconds"] for ours, theirs in pairs]),
            MEMORY: spread([ours["peak_mib"] / theirs["peak_mib"] for ours, theirs in pairs]),
        },
        "sentences": count,
        "sentences_per_second": {
            side: spread([count / each["seconds"] for each in found])
            for side, found in rounds.items()
        },
        "peak_mib": {side: [each["peak_mib"] for each in found] for side, found in rounds.items()},
        "completion_tokens": {
            side: found[0]["completion_tokens"] for side, found in rounds.items()
        },
        "agreement": what.agreement({side: found[0]["answers"] for side, found in rounds.items()}),
    }


def show(
    ratios: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Setting],
    details: Mapping[str, Any],
) -> None:
    """The ratios, both sides, and how far they agree."""
    for key, value in ratios.items():
        print(f"{key}: {value['median']:.2f} ({value['low']:.2f} to {value['high']:.2f})")
    same = details["agreement"]
    for side, rate in details["sentences_per_second"].items():
        print(
            f"{side}: {rate['median']:.2f} sentences/s ({rate['low']:.2f} to {rate['high']:.2f}), "
            f"F1 of mentions {same['mentions_f1'][side]:.2f}, {dict(settings[side])}"
        )
    print(
        f"the same entities in {same['same_entities']:.0%} of answers, the same text in "
        f"{same['same_text']:.0%}, as many tokens in {same['same_prompt_tokens']:.0%} of prompts"
    )
