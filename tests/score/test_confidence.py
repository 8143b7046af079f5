"""Confidences against gold, their calibration, and promises that hold on text to come."""

import json
import random
from collections.abc import Callable
from math import comb

import numpy as np
import pytest

from chmed_ner.entities import Sentence, Span
from chmed_ner.score import (
    PRECISION,
    RECALL,
    Calibration,
    Judged,
    JudgedSentence,
    average_precision,
    best_promise,
    bins,
    brier_score,
    calibration_error,
    entities_of,
    fit_calibration,
    judge,
    kept_of,
    promise,
)
from chmed_ner.score.promises import p_value


def entities(*found: tuple[float, bool]) -> list[Judged]:
    return [Judged("DISE", confidence, right) for confidence, right in found]


def sentences(
    number: int,
    draw: random.Random,
    says: Callable[[float], float] = lambda truth: truth,
    truths: tuple[float, float] = (4, 1),
) -> list[JudgedSentence]:
    """Sentences whose entities are right as often as a hidden truth; what a model `says` of it."""
    found = []
    for place in range(number):
        some = [draw.betavariate(*truths) for _ in range(draw.choice((0, 1, 1, 2, 3, 5)))]
        judged = tuple(
            Judged("DISE" if draw.random() < 0.7 else "BODY", says(truth), draw.random() < truth)
            for truth in some
        )
        missed = draw.random() < 0.3
        gold = sum(e.right for e in judged) + missed
        found.append(JudgedSentence(str(place), "validation", "all", gold, judged))
    return found


def test_a_prediction_is_judged_by_its_span_and_type() -> None:
    sentence = Sentence(
        "a", "test", "FT", "頭痛胃痛", None, (Span(0, 2, "SYMP"), Span(2, 4, "SYMP"))
    )
    spans = [Span(0, 2, "SYMP", 0.9), Span(2, 4, "DISE", 0.4), Span(1, 2, "SYMP")]
    (judged,) = judge([sentence], {"a": spans})
    assert judged.gold == 2
    assert judged.entities == (Judged("SYMP", 0.9, True), Judged("DISE", 0.4, False))


def test_figures_counted_by_hand() -> None:
    four = entities((0.9, True), (0.9, False), (0.6, True), (0.2, False))
    assert brier_score(four) == pytest.approx((0.01 + 0.81 + 0.16 + 0.04) / 4)
    assert calibration_error(four) == pytest.approx(100 * abs(0.65 - 0.5))  # a single bin: few
    # of 4 gold entities: half of two is right at recall 1/4, two of three at 2/4
    assert average_precision(four, 4) == pytest.approx(100 * (1 / 2 + 2 / 3) / 4)
    assert (calibration_error([]), brier_score([]), average_precision([], 0)) == (0, 0, 0)


def test_bins_have_equal_mass_and_equal_confidences_share_one() -> None:
    spread = bins(entities(*((n / 4000, n % 2 == 0) for n in range(4000))))
    assert [each.entities for each in spread] == [400] * 10
    assert spread[3].confidence == pytest.approx(0.349875)
    assert spread[3].right == 0.5
    tied = bins(entities(*[(0.5, True)] * 400, *[(1.0, False)] * 600))
    assert [(each.entities, each.confidence, each.right) for each in tied] == [
        (400, 0.5, 1.0),
        (600, 1.0, 0.0),
    ]
    assert len(bins(entities(*[(n / 599, True) for n in range(599)]))) == 2  # 200 at least in each


def test_overconfidence_is_unlearnt_on_validation_and_the_order_stays() -> None:
    draw = random.Random(7)
    boasting = lambda truth: truth**0.25  # noqa: E731
    validation, test = sentences(1200, draw, boasting), sentences(1200, draw, boasting)
    learnt = fit_calibration(validation)
    raw = entities_of(test)
    assert calibration_error(raw) > 10
    assert calibration_error(learnt.judged(raw)) < 4  # of which 2 are chance
    assert brier_score(learnt.judged(raw)) < brier_score(raw)
    assert learnt.errors["raw"] > 10 > 4 > learnt.errors["held_out"]
    assert set(learnt.brier_scores) == {
        "platt", "isotonic", "platt, by type", "isotonic, by type",
    }  # fmt: skip
    again = Calibration.from_json(json.loads(json.dumps(learnt.as_json())))
    values = [n / 100 for n in range(101)]
    for type_ in ("DISE", "BODY", "TIME"):
        calibrated = [learnt.confidence(type_, value) for value in values]
        assert calibrated == sorted(calibrated)
        assert 0 < min(calibrated) <= max(calibrated) < 1
        assert [again.confidence(type_, value) for value in values] == calibrated
    spans = learnt.spans([Span(0, 1, "DISE", 0.5), Span(1, 2, "DISE")])
    assert [span.confidence for span in spans] == [learnt.confidence("DISE", 0.5), None]


def test_a_type_with_another_truth_gets_its_own_curve() -> None:
    draw = random.Random(3)
    found = []
    for each in sentences(1500, draw):
        worse = (
            e if e.type == "DISE" else Judged("BODY", e.confidence, e.right and draw.random() < 0.4)
            for e in each.entities
        )
        found.append(JudgedSentence(each.id, each.split, each.genre, each.gold, tuple(worse)))
    learnt = fit_calibration(found)
    assert set(learnt.types) == {"DISE", "BODY"}
    assert learnt.confidence("DISE", 0.9) > 0.8 > 0.5 > learnt.confidence("BODY", 0.9)


def test_an_isotonic_curve_is_chosen_where_no_logistic_one_fits() -> None:
    draw = random.Random(5)
    steps = lambda truth: round(truth, 1) / 10 if truth < 0.9 else 0.95  # noqa: E731
    learnt = fit_calibration(sentences(2000, draw, steps))
    assert "isotonic" in min(learnt.brier_scores, key=lambda name: learnt.brier_scores[name])
    assert "isotonic" in learnt.as_json()["every"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "no entity with a confidence"),
        ([(0.5, True)] * 40 + [(0.4, False)] * 40, "40 right and 40 wrong entities; 100 are"),
        ([(0.5, True)] * 400 + [(0.4, False)] * 9, "400 right and 9 wrong"),
    ],
)
def test_too_few_leave_confidences_raw_and_say_why(
    found: list[tuple[float, bool]], reason: str
) -> None:
    learnt = fit_calibration([JudgedSentence("a", "validation", "all", 0, tuple(entities(*found)))])
    assert learnt.every is None
    assert reason in learnt.reason
    assert learnt.confidence("DISE", 0.37) == 0.37


@pytest.mark.parametrize(
    "content",
    [
        {"every": {"isotonic": {"raw": [0.5, 0.1], "calibrated": [0, 1]}}, "types": {}},
        {"every": {"isotonic": {"raw": [], "calibrated": []}}, "types": {}},
        {"every": {"isotonic": {"raw": [float("nan")], "calibrated": [0.5]}}, "types": {}},
        {"every": {"platt": {"slope": float("inf"), "intercept": 0}}, "types": {}},
        {"every": {"cubic": {}}, "types": {}},
        {"every": {"platt": {"slope": "x", "intercept": 0}}, "types": {}},
        {"types": {}},
    ],
)
def test_what_is_no_calibration_is_refused(content: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Calibration.from_json({"reason": "", **content})


def test_an_independent_draw_counts_once_and_an_echo_does_not() -> None:
    of = np.full(300, 1)
    wrong = np.zeros(300, dtype=int)
    wrong[:15] = 1
    exact = sum(comb(300, n) * 0.1**n * 0.9 ** (300 - n) for n in range(16))
    assert p_value(wrong, of, 0.1) == pytest.approx(exact)
    assert p_value(4 * wrong, 4 * of, 0.1) == pytest.approx(exact, rel=0.1)
    assert p_value(wrong, of, 0.04) > 0.5
    assert p_value(of[:0], of[:0], 0.1) == 1


def test_the_test_of_a_threshold_errs_as_seldom_as_it_says() -> None:
    """Precision is the target, and entities of a sentence are all right or all wrong."""
    draw = np.random.default_rng(11)
    of = draw.integers(0, 5, size=(1000, 300))
    wrong = of * (draw.random(of.shape) < 0.1)
    chances = [p_value(w, k, 0.1) for w, k in zip(wrong, of, strict=True)]
    assert sum(each <= 0.05 for each in chances) <= 0.05 * len(of)
    few = of * (draw.random(of.shape) < 0.04)
    chances = [p_value(w, k, 0.1) for w, k in zip(few, of, strict=True)]
    assert sum(each <= 0.05 for each in chances) > 0.8 * len(of)


def test_a_promised_precision_holds_on_text_to_come() -> None:
    draw = random.Random(2)
    everything = kept_of(sentences(4000, draw), 0.0)
    assert everything.precision < 0.85
    held, refused = 0, 0
    for _ in range(20):
        found = promise(sentences(600, draw), PRECISION, 0.9)
        if found is None:
            refused += 1
            continue
        assert found.certainty == 0.95
        kept = kept_of(sentences(4000, draw), found.threshold)
        held += kept.precision >= 0.9
        assert kept.recall > 0.25
    assert refused <= 4
    assert held >= 20 - refused - 1


def test_a_promised_recall_is_the_highest_threshold_that_holds_it() -> None:
    draw = random.Random(4)
    validation = sentences(1500, draw)
    found = promise(validation, RECALL, 0.6)
    assert found is not None
    assert found.threshold > 0.5
    assert kept_of(sentences(6000, draw), found.threshold).recall >= 0.6
    assert promise(validation, RECALL, 0.95) is None  # nobody predicts a fifth of gold
    reach = best_promise(validation, RECALL)
    assert reach is not None
    assert 0.6 < reach.target < kept_of(validation, 0.0).recall


def test_few_sentences_promise_nothing() -> None:
    validation = sentences(12, random.Random(1))
    assert promise(validation, PRECISION, 0.9) is None
    assert promise([], PRECISION, 0.9) is None
    assert best_promise([], PRECISION) is None
    assert promise(validation, PRECISION, 0.9, certainty=0.999) is None
