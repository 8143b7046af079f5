"""Stacked votes: what is learnt of the runs, and the threshold that F1 wants."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from chmed_ner.entities.types import Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.methods.ensemble.stacking import Known, Stacking, evidence_of, fit, half_of_f1
from chmed_ner.methods.ensemble.voting import Candidate, Judged, elected
from chmed_ner.score.spans import span_scores
from tests.methods.test_voting import TYPES, flat

TEXT = "慢性腎臟病引起貧血和水腫"
RIGHT, WRONG, PART = Span(0, 5, "DISE"), Span(7, 9, "BODY"), Span(2, 4, "BODY")
NOTHING = Known(frozenset())


def sentence(*entities: Span) -> Sentence:
    return Sentence("s", "validation", "WA", TEXT, entities=entities)


def learnt(*cases: tuple[Sentence, list[list[Span]]]) -> Stacking:
    """The regression of these sentences with their ballots, ten times each."""
    ballots = {each.id: votes for each, votes in cases}
    sentences = [each for each, _ in cases] * 10
    return fit(sentences, lambda s: evidence_of(s, ballots[s.id], NOTHING), TYPES)


def test_evidence_is_who_says_it_and_who_says_something_else_there() -> None:
    other_type = Span(0, 5, "SYMP")
    ballots = [[RIGHT], [other_type], [PART], []]
    found = evidence_of(sentence(), ballots, Known(frozenset({("慢性腎臟病", "DISE")})))
    assert set(found) == {RIGHT, other_type, PART}
    said = {name for name, value in found[RIGHT].items() if value}
    assert said == {"known", "long", "run 0", "run 1, another type", "run 2, other boundaries"}
    assert not found[other_type]["known"]
    assert found[PART]["run 0, other boundaries"] == found[PART]["run 1, other boundaries"] == 1


def test_a_calibrated_confidence_is_evidence() -> None:
    sure, unsure = (Span(0, 5, "DISE", confidence) for confidence in (0.9, 0.2))
    found = evidence_of(sentence(), [[sure], [RIGHT]], NOTHING)[RIGHT]
    assert (found["run 0, confidence"], found["run 1, confidence"]) == (0.9, 0)
    stacking = learnt((sentence(RIGHT), [[sure]]), (replace(sentence(), id="t"), [[unsure]]))
    (one,), (other,) = (
        stacking.candidates(evidence_of(sentence(), [[s]], NOTHING)) for s in (sure, unsure)
    )
    assert one.share > 0.6 > 0.4 > other.share


def test_a_run_that_is_right_is_believed_against_two_that_are_not() -> None:
    stacking = learnt((sentence(RIGHT), [[RIGHT], [WRONG], [WRONG]]))
    candidates = stacking.candidates(evidence_of(sentence(), [[RIGHT], [WRONG], [WRONG]], NOTHING))
    assert elected(candidates, dict.fromkeys(TYPES, stacking.threshold)) == (RIGHT,)
    assert stacking.weights["run 0"] > 0 > stacking.weights["run 1"]


def test_a_probability_is_the_logistic_function_of_what_the_evidence_weighs() -> None:
    stacking = Stacking({"run 0": 2.0, "known": -0.5}, intercept=0.25, threshold=0.5)
    assert stacking.probability({"run 0": 1.0, "known": 0.0}) == 1 / (1 + math.exp(-2.25))
    assert stacking.probability({"run 0": 0.0, "known": 1.0}) == 1 / (1 + math.exp(0.25))


@pytest.mark.parametrize(
    ("gold", "ballots", "said"),
    [
        ((RIGHT,), [[RIGHT], [RIGHT]], "10 right and 0 wrong"),
        ((RIGHT,), [[WRONG], [WRONG]], "0 right and 10 wrong"),
        ((), [[], []], "0 right and 0 wrong"),
    ],
)
def test_nothing_to_learn_is_said(
    gold: tuple[Span, ...], ballots: list[list[Span]], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        learnt((sentence(*gold), ballots))


def test_the_threshold_is_half_of_the_f1_that_it_gives() -> None:
    """Entities of chance 0.9 to 0.1, of which as many are right: F1 is highest at its half."""
    judged = [
        ((RIGHT,) if right < tenths else (), [Candidate(RIGHT, tenths / 10)])
        for tenths in range(1, 10)
        for right in range(10)
    ]

    def f1(threshold: float) -> float:
        chosen = dict.fromkeys(TYPES, threshold)
        return span_scores((gold, elected(found, chosen)) for gold, found in judged).f1

    threshold = half_of_f1([Judged(*each) for each in judged], TYPES)
    assert threshold == f1(threshold) / 200
    assert f1(threshold) == max(f1(tenths / 10) for tenths in range(1, 10))
    assert f1(threshold) > f1(0.5)


@given(
    training=st.lists(st.tuples(flat(), flat(), flat()), min_size=1, max_size=5),
    ballots=st.tuples(flat(), flat()),
)
def test_what_is_elected_was_predicted_and_does_not_overlap(
    training: list[tuple[list[Span], list[Span], list[Span]]],
    ballots: tuple[list[Span], list[Span]],
) -> None:
    sentences = [
        Sentence(str(at), "validation", "WA", TEXT, entities=tuple(gold))
        for at, (gold, _, _) in enumerate(training)
    ]
    votes = {str(at): list(said) for at, (_, *said) in enumerate(training)}
    try:
        stacking = fit(sentences, lambda s: evidence_of(s, votes[s.id], NOTHING), TYPES)
    except InputError:
        return
    candidates = stacking.candidates(evidence_of(sentence(), list(ballots), NOTHING))
    assert all(0 < each.share < 1 for each in candidates)
    placed = elected(candidates, dict.fromkeys(TYPES, stacking.threshold))
    assert set(placed) <= {span for spans in ballots for span in spans}
    assert all(one.end <= two.start for one, two in itertools.pairwise(placed))
