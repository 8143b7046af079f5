"""Do the confidences of finished runs keep their word on held-out sentences?

    python experiments/confidence.py RUN [RUN ...] [--split validation] [--genre NAME]
        [--precision 0.9] [--certainty 0.95] [--halves 40] [--seed 13]

The sentences with gold that a run has kept (`confidences.jsonl`) are cut in two at random, many
times. On one half the calibration is learnt and the threshold for the precision is set, on the
other both are measured: the calibration error in points, raw and calibrated (means over halves),
and what it would be by chance were every confidence exactly true; in how many halves the promised
precision was realised, of those where it could be promised; the recall that was kept, beside that
without a threshold, and beside precision and recall of the plain threshold "raw confidence at least
the precision". A Markdown table, a row a run.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from chmed_ner.files import markdown_table
from chmed_ner.run import Confidences
from chmed_ner.score import (
    CERTAINTY,
    PRECISION,
    Judged,
    JudgedSentence,
    calibration_error,
    entities_of,
    fit_calibration,
    kept_of,
    promise,
)
from chmed_ner.track import RunRecord, find_run

COLUMNS = (
    "run", "sentences", "entities", "error, raw", "calibrated", "by chance", "promised", "realised",
    "lowest", "recall", "without", "plain: precision", "recall",
)  # fmt: skip


def by_chance(entities: Sequence[Judged], draw: random.Random) -> float:
    """The calibration error of confidences that are exactly true."""
    return calibration_error([replace(e, right=draw.random() < e.confidence) for e in entities])


def measure(
    sentences: Sequence[JudgedSentence],
    draw: random.Random,
    halves: int,
    precision: float,
    certainty: float,
) -> list[str]:
    """The cells of a run's row, but for its name."""
    errors, kept, plain, whole = [], [], [], []
    for _ in range(halves):
        shuffled = draw.sample(sentences, len(sentences))
        learnt, held_out = shuffled[::2], shuffled[1::2]
        raw = entities_of(held_out)
        calibrated = fit_calibration(learnt).judged(raw)
        errors.append([calibration_error(raw), calibration_error(calibrated),
                       by_chance(calibrated, draw)])  # fmt: skip
        found = promise(learnt, PRECISION, precision, certainty)
        if found is not None:
            kept.append(kept_of(held_out, found.threshold))
        plain.append(kept_of(held_out, precision))
        whole.append(kept_of(held_out, 0.0))

    def percent(shares: list[float]) -> str:
        return f"{100 * fmean(shares):.1f}" if shares else "–"

    realised = [each.precision for each in kept]
    return [
        f"{len(sentences):,}",
        f"{len(entities_of(sentences)):,}",
        *(f"{fmean(each):.2f}" for each in zip(*errors, strict=True)),
        f"{len(kept)} of {halves}",
        f"{sum(each >= precision for each in realised)} of {len(kept)}",
        percent([min(realised)] if realised else []),
        *(percent([each.recall for each in some]) for some in (kept, whole)),
        percent([each.precision for each in plain]),
        percent([each.recall for each in plain]),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--genre", help="sentences of this genre alone")
    parser.add_argument("--precision", type=float, default=0.9)
    parser.add_argument("--certainty", type=float, default=CERTAINTY)
    parser.add_argument("--halves", type=int, default=40)
    parser.add_argument("--seed", type=int, default=13)
    given = parser.parse_args(arguments)
    rows = []
    for name in given.runs:
        directory = find_run(name)
        confidences = Confidences.read(directory)
        every = confidences.test if given.split == "test" else confidences.validation
        some = [each for each in every if given.genre in (None, each.genre)]
        draw = random.Random(given.seed)
        cells = measure(some, draw, given.halves, given.precision, given.certainty)
        rows.append([RunRecord.read(directory).name, *cells])
    print(markdown_table(COLUMNS, rows, "l" + "r" * (len(COLUMNS) - 1)), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
