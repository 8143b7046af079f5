"""Calibration: a confidence that comes true as often as it says, learnt on validation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import exp, isfinite, log
from typing import Any, Self

import numpy as np

from chmed_ner.entities import Span
from chmed_ner.score.confidence import (
    Judged,
    JudgedSentence,
    brier_score,
    calibration_error,
    entities_of,
)

LEAST, LEAST_OF_TYPE = 100, 200
"""Entities that a calibration needs at least, and a type to have one of its own."""
EACH_WAY = 10
"""So many of them must be right, and so many wrong."""
FOLDS = 5
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Isotonic:
    """The line through (raw, calibrated), level beyond its ends."""

    raw: Sequence[float]
    calibrated: Sequence[float]

    def __call__(self, confidence: float) -> float:
        """The calibrated confidence."""
        return float(np.interp(confidence, self.raw, self.calibrated))

    @classmethod
    def fit(cls, entities: Sequence[Judged]) -> Self:
        """Never 0 or 1, which no sample can show: Laplace's bounds of as many entities."""
        from sklearn.isotonic import IsotonicRegression

        least = 1 / (len(entities) + 2)
        model = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
        model.fit([e.confidence for e in entities], [float(e.right) for e in entities])
        return cls(model.X_thresholds_.tolist(), model.y_thresholds_.tolist())


@dataclass(frozen=True, slots=True)
class Platt:
    """A logistic curve over the log-odds of the raw confidence."""

    slope: float
    intercept: float

    def __call__(self, confidence: float) -> float:
        """The calibrated confidence."""
        odds = self.slope * _log_odds(confidence) + self.intercept
        return 1 / (1 + exp(-min(max(odds, -500.0), 500.0)))

    @classmethod
    def fit(cls, entities: Sequence[Judged]) -> Self:
        """With the targets of Platt 1999, (right + 1) / (right + 2) and 1 / (wrong + 2)."""
        from sklearn.linear_model import LogisticRegression

        x = np.array([[_log_odds(e.confidence)] for e in entities])
        right = np.array([e.right for e in entities])
        targets = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))
        model = LogisticRegression(C=1e6, max_iter=1000)
        model.fit(
            np.concatenate([x, x]),
            np.repeat([1, 0], len(x)),
            sample_weight=np.concatenate([targets, 1 - targets]),
        )
        return cls(float(model.coef_[0, 0]), float(model.intercept_[0]))


def _log_odds(confidence: float) -> float:
    held = min(max(confidence, _SMALLEST), 1 - _SMALLEST)
    return log(held / (1 - held))


Curve = Isotonic | Platt
Kind = type[Isotonic] | type[Platt]
KINDS: Mapping[str, Kind] = {"platt": Platt, "isotonic": Isotonic}


@dataclass(frozen=True)
class Calibration:
    """What a raw confidence is worth: a curve for `every` type, and some types' own.

    Without `every` confidences stay raw, for the `reason` given. `brier_scores` are those of all
    that was tried, `errors` the calibration error (points) of validation's confidences, `raw` and
    `held_out`: as curves of the other folds make them.
    """

    every: Curve | None
    types: Mapping[str, Curve] = field(default_factory=dict)
    reason: str = ""
    brier_scores: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)

    def confidence(self, type_: str, raw: float) -> float:
        """Six decimals of the calibrated confidence, of the raw one where there are no curves."""
        curve = self.types.get(type_, self.every)
        return round(raw if curve is None else curve(raw), 6)

    def spans(self, found: Iterable[Span]) -> tuple[Span, ...]:
        """The spans with calibrated confidences, where they have any."""
        return tuple(
            span
            if span.confidence is None
            else replace(span, confidence=self.confidence(span.type, span.confidence))
            for span in found
        )

    def judged(self, found: Iterable[Judged]) -> list[Judged]:
        """The judged entities with calibrated confidences."""
        return [replace(e, confidence=self.confidence(e.type, e.confidence)) for e in found]

    def as_json(self) -> dict[str, Any]:
        """What `calibration.json` holds."""
        return {
            "reason": self.reason,
            "brier_scores": dict(self.brier_scores),
            "errors": dict(self.errors),
            "every": None if self.every is None else _as_json(self.every),
            "types": {type_: _as_json(curve) for type_, curve in self.types.items()},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Calibration":
        """The calibration of `as_json`; KeyError, TypeError, ValueError: it is none."""
        every = content["every"]
        types = {type_: _from_json(each) for type_, each in content["types"].items()}
        if not isinstance(content["reason"], str):
            raise TypeError(f"reason is {content['reason']!r:.60}, no text")
        return cls(None if every is None else _from_json(every), types, content["reason"])


RAW = Calibration(None, reason="the run has kept no calibration")


def fit_calibration(validation: Sequence[JudgedSentence]) -> Calibration:
    """The calibration that does best in cross-validation over the sentences of validation.

    Tried are Platt's curve and an isotonic one, each for all types together and for each type that
    has enough; the least Brier score wins, of equals the first of these.
    """
    entities = entities_of(validation)
    right = sum(e.right for e in entities)
    if not entities:
        return Calibration(None, reason="no entity with a confidence in validation sentences")
    if not _enough(entities, LEAST):
        return Calibration(
            None,
            reason=f"validation has {right} right and {len(entities) - right} wrong entities; "
            f"{LEAST} are needed, {EACH_WAY} of each",
        )
    trials: dict[str, Callable[[Sequence[Judged]], Calibration]] = {
        **{name: partial(_together, kind) for name, kind in KINDS.items()},
        **{f"{name}, by type": partial(_by_type, kind) for name, kind in KINDS.items()},
    }
    folds = [entities_of(validation[first::FOLDS]) for first in range(FOLDS)]
    held_out: dict[str, list[Judged]] = {}
    for name, fit in trials.items():
        fitted = [fit([e for f in folds if f is not fold for e in f]) for fold in folds]
        pairs = zip(fitted, folds, strict=True)
        held_out[name] = [e for each, fold in pairs for e in each.judged(fold)]
    scores = {name: brier_score(found) for name, found in held_out.items()}
    best = min(scores, key=lambda name: scores[name])
    errors = {"raw": calibration_error(entities), "held_out": calibration_error(held_out[best])}
    return replace(trials[best](entities), brier_scores=scores, errors=errors)


def _together(kind: Kind, entities: Sequence[Judged]) -> Calibration:
    return Calibration(kind.fit(entities))


def _by_type(kind: Kind, entities: Sequence[Judged]) -> Calibration:
    types = dict.fromkeys(e.type for e in entities)
    members = {type_: [e for e in entities if e.type == type_] for type_ in types}
    own = {t: kind.fit(some) for t, some in members.items() if _enough(some, LEAST_OF_TYPE)}
    return Calibration(kind.fit(entities), own)


def _enough(entities: Sequence[Judged], least: int) -> bool:
    right = sum(e.right for e in entities)
    return len(entities) >= least and min(right, len(entities) - right) >= EACH_WAY


def _as_json(curve: Curve) -> dict[str, Any]:
    if isinstance(curve, Platt):
        return {"platt": {"slope": curve.slope, "intercept": curve.intercept}}
    return {"isotonic": {"raw": list(curve.raw), "calibrated": list(curve.calibrated)}}


def _from_json(content: Mapping[str, Any]) -> Curve:
    ((name, numbers),) = content.items()
    if name == "platt":
        curve = Platt(float(numbers["slope"]), float(numbers["intercept"]))
        if not isfinite(curve.slope + curve.intercept):
            raise ValueError(f"{curve} is no curve")
        return curve
    if name != "isotonic":
        raise ValueError(f"{name!r:.60} is no kind of curve")
    raw, calibrated = ([float(x) for x in numbers[key]] for key in ("raw", "calibrated"))
    rises = raw == sorted(raw) and calibrated == sorted(calibrated)
    inside = all(0 <= x <= 1 for x in (*raw, *calibrated))
    if not (raw and rises and inside and len(raw) == len(calibrated)):
        raise ValueError("the points of an isotonic curve do not rise from 0 to 1 in pairs")
    return Isotonic(raw, calibrated)
