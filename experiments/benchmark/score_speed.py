"""How fast scoring is: against seqeval's report, and resampling against a plain loop.

    python experiments/benchmark/score_speed.py [GOLD ...] [--seed N] [--json FILE]

GOLD are official-format files, one a genre; by default ROCLING-2023's FT and WA under the data
root. Two systems are made from the gold by seed: mentions lost, cut, and called by another type.
Everything is timed side by side in this one process, best of `--repeats`. What is compared must
agree first: the entity F1 of seqeval, and the figures of the plain loop.
"""

import argparse
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from chmed_ner.data import read_columns
from chmed_ner.entities import Span, chunks, tags_of
from chmed_ner.files import data_directory, write_json
from chmed_ner.score import (
    Counts,
    bootstrap_f1,
    compare_counts,
    score_sentences,
    score_table,
    sentence_counts,
)

Tags = list[list[str]]
"""One list of tags a sentence."""

RESAMPLES = 1_000
PLAIN = 20
"""Resamples that the plain loop draws; its time is scaled up to `RESAMPLES`."""


def perturbed(gold: Tags, seed: int) -> Tags:
    """What a middling system would say: of the gold mentions 20% lost, 10% cut, 10% of another
    type."""
    draw = random.Random(f"perturbed {seed}")
    types = sorted({span.type for tags in gold for span in chunks(tags)})

    def answer(span: Span) -> Span | None:
        fate = draw.random()
        if fate < 0.2:
            return None
        if fate < 0.3:
            return Span(span.start, max(span.start + 1, span.end - 1), span.type)
        return Span(span.start, span.end, draw.choice(types)) if fate < 0.4 else span

    return [list(tags_of(filter(None, map(answer, chunks(tags))), len(tags))) for tags in gold]


def seconds(repeats: int, *actions: Callable[[], object]) -> list[float]:
    """The shortest of several times of each; they take turns, so that a busy machine slows all."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(repeats):
        for action, taken in zip(actions, times, strict=True):
            began = time.perf_counter()
            action()
            taken.append(time.perf_counter() - began)
    return list(map(min, times))


def scoring(gold: Tags, predicted: Tags, repeats: int) -> dict[str, float]:
    """Both reports on the same lists of tags."""
    from seqeval.metrics import classification_report, f1_score

    scores = score_sentences(gold, predicted, separators=0)
    theirs = 100 * f1_score(gold, predicted)
    if abs(scores.overall.f1 - theirs) > 1e-9:
        raise SystemExit(f"F1 {scores.overall.f1} here, {theirs} by seqeval: nothing to compare")
    ours, report = seconds(
        repeats,
        lambda: score_table({"all": score_sentences(gold, predicted, separators=0)}),
        lambda: classification_report(gold, predicted, digits=4),
    )
    return {
        "score_seconds": ours,
        "seqeval_seconds": report,
        "score_times_as_fast_as_seqeval": report / ours,
    }


def plain_bootstrap(counts: Mapping[str, Counts], resamples: int, seed: int) -> list[float]:
    """The macro F1 of each resample, sentences drawn and added up one by one."""
    draw = random.Random(seed)
    genres = [[tuple(map(int, row)) for row in rows] for rows in counts.values()]
    figures = []
    for _ in range(resamples):
        total = 0.0
        for rows in genres:
            drawn = draw.choices(rows, k=len(rows))
            gold, predicted, correct = (sum(row[i] for row in drawn) for i in range(3))
            total += 200 * correct / max(gold + predicted, 1)
        figures.append(total / len(genres))
    return figures


def resampling(
    first: Mapping[str, Counts], second: Mapping[str, Counts], seed: int, repeats: int
) -> dict[str, float]:
    """Intervals of two systems with the paired test, and a plain loop for one interval."""
    interval = bootstrap_f1(first, resamples=RESAMPLES, seed=seed).macro
    plain = plain_bootstrap(first, PLAIN, seed)
    width = interval.high - interval.low
    if abs(float(np.mean(plain)) - (interval.low + interval.high) / 2) > width:
        raise SystemExit(f"{interval} here, about {np.mean(plain)} by the plain loop")
    paired, alone, slow = seconds(
        repeats,
        lambda: compare_counts(first, second, resamples=RESAMPLES, seed=seed),
        lambda: bootstrap_f1(first, resamples=RESAMPLES, seed=seed),
        lambda: plain_bootstrap(first, PLAIN, seed),
    )
    slow *= RESAMPLES / PLAIN
    return {
        "bootstrap_seconds": alone,
        "plain_bootstrap_seconds": slow,  # scaled up from PLAIN resamples
        "bootstrap_times_as_fast_as_plain": slow / alone,
        "paired_test_seconds": paired,
    }


def counted(gold: Mapping[str, Tags], predicted: Mapping[str, Tags]) -> dict[str, Counts]:
    """The counts of each sentence by genre."""
    return {
        genre: sentence_counts(
            (chunks(g), chunks(p)) for g, p in zip(sentences, predicted[genre], strict=True)
        )
        for genre, sentences in gold.items()
    }


def measure(files: Sequence[Path], seed: int, repeats: int) -> dict[str, float]:
    """Every figure, by name: seconds, and ratios, which are above 1 where ours is faster."""
    gold = {path.stem: read(path) for path in files}
    first, second = (
        {genre: perturbed(sentences, seed + n) for genre, sentences in gold.items()} for n in (0, 1)
    )
    every = [[tags for genre in side.values() for tags in genre] for side in (gold, first)]
    began = time.perf_counter()
    counts = counted(gold, first), counted(gold, second)
    counting = time.perf_counter() - began
    return {
        "sentences": float(len(every[0])),
        "tags": float(sum(map(len, every[0]))),
        **scoring(every[0], every[1], repeats),
        "count_seconds": counting,
        **resampling(*counts, seed, repeats),
    }


def read(path: Path) -> Tags:
    """A gold file's tags."""
    sentences = read_columns(path, prefix="", split="test", genre="all", labels=None)
    return [list(sentence.tags or ()) for sentence in sentences]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gold", nargs="*", type=Path, help="official-format files, one a genre")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    root = data_directory() / "rocling2023"
    files = arguments.gold or [
        root / f"MultiNER-Health_truth_{genre}.txt" for genre in ("FT", "WA")
    ]
    figures = measure(files, arguments.seed, arguments.repeats)
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:12,.3f}")
    if arguments.json:
        write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
