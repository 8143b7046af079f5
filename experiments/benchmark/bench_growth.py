"""How the seconds of our loop grow: with the length of sentences, and with their number."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from bench_decoding import Decoding
from bench_run import exponent, linear_fit

READINGS = 3
"""Times that each length is timed."""

MARGIN = 1.5
"""A sentence of thousands may take this much longer than one of the timed rounds (1.3 was seen)."""


def growth_with_length(loop: Decoding) -> dict[str, Any]:
    """Seconds against tokens over four groups of sentences of growing length, and the exponent.

    The tokens are those of prompts and answers without the prefix that all prompts share; the
    seconds are medians.
    """
    groups = loop.what.by_length(4, 32)  # once more: the first pass compiles kernels for new shapes
    parts = loop.answers("lengths", "ours", groups * (1 + READINGS))["parts"]
    tokens = [part["own_tokens"] for part in parts[: len(groups)]]
    timed = [part["seconds"] for part in parts[len(groups) :]]
    seconds = [median(timed[at :: len(groups)]) for at in range(len(groups))]
    return {"tokens": tokens, "seconds": seconds, "exponent": exponent(tokens, seconds)}


def growth_with_sentences(loop: Decoding, name: str, counts: Sequence[int]) -> dict[str, Any]:
    """Seconds for growing numbers of sentences drawn by chance, and the line through them.

    `name` is one of `DECODERS`; a test set smaller than a count is read again from its beginning.
    """
    order = loop.what.sentences(len(loop.what.test), loop.seed, "growth")
    lists = [[order[at % len(order)] for at in range(count)] for count in counts]
    parts = loop.answers(f"growth-{name}", name, lists)["parts"]
    seconds = [part["seconds"] for part in parts]
    return {"sentences": list(counts), "seconds": seconds, "fit": linear_fit(counts, seconds)}


def expected_seconds(counts: Sequence[int], per_second: Mapping[str, float]) -> float:
    """What the growth over `counts` may take, by the timed rounds' sentences a second."""
    return MARGIN * sum(counts) / per_second["median"]
