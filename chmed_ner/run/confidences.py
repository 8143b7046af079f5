"""What a run's confidences are worth: learnt on validation, kept with the run, kept to."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError
from chmed_ner.files import read_json, read_text, write_json, write_json_lines
from chmed_ner.run.outcome import Outcome
from chmed_ner.score import (
    RAW,
    Calibration,
    Judged,
    JudgedSentence,
    Promise,
    best_promise,
    fit_calibration,
    judge,
    kept_of,
    promise,
)

CALIBRATION_FILE, CONFIDENCES_FILE = "calibration.json", "confidences.jsonl"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Confidences:
    """A calibration, and the raw confidences that it and every promise come from: those of the
    sentences with gold, each held against it."""

    calibration: Calibration = RAW
    judged: Sequence[JudgedSentence] = ()

    @cached_property
    def validation(self) -> list[JudgedSentence]:
        """The validation sentences."""
        return [each for each in self.judged if each.split != "test"]

    @cached_property
    def test(self) -> list[JudgedSentence]:
        """The test sentences with gold."""
        return [each for each in self.judged if each.split == "test"]

    @property
    def known(self) -> bool:
        """Whether any entity has a confidence."""
        return any(each.entities for each in self.judged)

    def write(self, directory: Path) -> None:
        """Write both files, unless no entity has a confidence."""
        if self.known:
            write_json_lines(directory / CONFIDENCES_FILE, map(_record, self.judged))
            write_json(directory / CALIBRATION_FILE, self.calibration.as_json())

    @classmethod
    def read(cls, directory: Path) -> "Confidences":
        """What `write` wrote; raw confidences where there is nothing. InputError: anything else."""
        path = directory / CALIBRATION_FILE
        if not path.is_file():
            return cls()
        try:
            calibration = Calibration.from_json(read_json(path))
            path = directory / CONFIDENCES_FILE
            lines = read_text(path).split("\n")
            return cls(calibration, [_sentence(json.loads(line)) for line in lines if line])
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{path}: not what a run writes ({type(error).__name__}: {error}); restore the "
                "file, or run again"
            ) from None


def learn_confidences(outcome: Outcome, policy: str, *, gold: bool) -> Confidences:
    """The confidences of an outcome, calibrated on its validation sentences; it is logged where
    these are too few. `gold`: the test sentences have it."""
    found = [(each, each.predicted(policy)) for each in (outcome.validation, outcome.test)]
    judged = [e for each, spans in found[: 1 + gold] for e in judge(each.sentences, spans)]
    confidences = Confidences(RAW, judged)
    calibration = fit_calibration(confidences.validation)
    if calibration.every is None and any(
        span.confidence is not None for _, by_id in found for s in by_id.values() for span in s
    ):
        log.info("confidences stay raw: %s", calibration.reason)
    return replace(confidences, calibration=calibration)


def promise_of(
    directory: Path,
    confidences: Confidences,
    wanted: Mapping[str, float | None],
    certainty: float,
) -> Promise | None:
    """The threshold that keeps the `wanted` figure (precision or recall), at least; None: none is.

    What it costs on validation is logged, and how it did on test genres that validation lacks.
    InputError: validation cannot show it, or both are wanted.
    """
    given = [(figure, target) for figure, target in wanted.items() if target is not None]
    if len(given) > 1:
        raise InputError("precision and recall: give one of them; a threshold keeps one promise")
    if not given:
        return None
    ((figure, target),) = given
    for name, value in ((figure, target), ("certainty", certainty)):
        if not 0 < value < 1:
            raise InputError(f"{name}={value}: give a number between 0 and 1, as 0.9")
    validation = confidences.validation
    found = promise(validation, figure, target, certainty)
    if found is None:
        raise InputError(f"{directory}: {_refusal(validation, figure, target, certainty)}")
    _tell(confidences, found)
    return found


def _refusal(
    validation: Sequence[JudgedSentence], figure: str, target: float, certainty: float
) -> str:
    if not any(each.entities for each in validation):
        return (
            f"{figure}={target:g} cannot be promised: the run has kept no validation predictions "
            "with confidences; run again with validate=true, and a method that gives confidences"
        )
    every = kept_of(validation, 0.0)
    best = best_promise(validation, figure, certainty)
    reach = f"the most that can is {best.target:g}" if best else "no target can"
    return (
        f"{figure}={target:g} cannot be promised with certainty {certainty:g} by "
        f"{len(validation)} validation sentences ({every.kept} entities with a confidence, "
        f"{every.right} right, of {every.gold} in gold): {reach}; ask for less, or run again with "
        "more validation sentences (dataset.validation_share)"
    )


def _tell(confidences: Confidences, found: Promise) -> None:
    validation = confidences.validation
    kept, every = (kept_of(validation, least) for least in (found.threshold, 0.0))
    genres = dict.fromkeys(each.genre for each in validation)
    log.warning(
        "keeping entities of raw confidence %.4f or more: %s at least %g, with certainty %g, in "
        "sentences drawn like validation's (%s; %d sentences). There precision %.1f -> %.1f%%, "
        "recall %.1f -> %.1f%%",
        found.threshold, found.figure, found.target, found.certainty, ", ".join(genres),
        len(validation), 100 * every.precision, 100 * kept.precision, 100 * every.recall,
        100 * kept.recall,
    )  # fmt: skip
    for genre in dict.fromkeys(each.genre for each in confidences.test):
        if genre not in genres:
            there = kept_of((e for e in confidences.test if e.genre == genre), found.threshold)
            log.warning(
                "genre %s is not in validation, so the promise does not cover it: precision "
                "%.1f%%, recall %.1f%% in the run's test",
                genre, 100 * there.precision, 100 * there.recall,
            )  # fmt: skip


def _record(each: JudgedSentence) -> dict[str, Any]:
    entities = [[e.type, e.confidence, e.right] for e in each.entities]
    where = {"id": each.id, "split": each.split, "genre": each.genre}
    return {**where, "gold": each.gold, "entities": entities}


def _sentence(record: Any) -> JudgedSentence:
    entities = tuple(Judged(str(t), float(c), bool(r)) for t, c, r in record["entities"])
    id_, split, genre = (str(record[key]) for key in ("id", "split", "genre"))
    return JudgedSentence(id_, split, genre, int(record["gold"]), entities)
