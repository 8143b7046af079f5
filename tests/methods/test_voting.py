"""Votes on spans: counting, thresholds, overlaps."""

import itertools

import pytest
from hypothesis import given, strategies as st

from chmed_ner.entities.types import Span
from chmed_ner.methods.ensemble.voting import (
    MAJORITY,
    VOTINGS,
    Candidate,
    Judged,
    choose_thresholds,
    elected,
    span_votes,
    two_stage_votes,
)
from chmed_ner.score.spans import span_scores

TYPES = ("DISE", "SYMP", "BODY")
HALF = dict.fromkeys(TYPES, MAJORITY)
DISEASE, SYMPTOM, PART = Span(0, 4, "DISE"), Span(0, 4, "SYMP"), Span(0, 2, "BODY")


@st.composite
def flat(draw: st.DrawFn) -> list[Span]:
    """Spans of a sentence of twelve characters that do not overlap."""
    cuts = sorted(draw(st.sets(st.integers(0, 12), max_size=8)))
    return [
        Span(start, end, draw(st.sampled_from(TYPES)))
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    ]


def test_a_span_vote_is_for_boundaries_and_type_together() -> None:
    found = span_votes([[DISEASE], [DISEASE], [SYMPTOM], [PART]], [1, 1, 1, 1])
    assert {each.span: each.share for each in found} == {DISEASE: 0.5, SYMPTOM: 0.25, PART: 0.25}
    assert elected(found, HALF) == (DISEASE,)


def test_two_stages_count_boundaries_first_and_then_the_type() -> None:
    found = two_stage_votes([[SYMPTOM], [DISEASE], [PART], [DISEASE]], [1, 1, 1, 1])
    assert {each.span: each.share for each in found} == {DISEASE: 0.75, PART: 0.25}
    tie = two_stage_votes([[SYMPTOM], [DISEASE]], [1, 1])
    assert tie == [Candidate(SYMPTOM, 1.0)]  # of equals the type of the run named first
    assert elected(span_votes([[SYMPTOM], [DISEASE], [PART]], [1, 1, 1]), HALF) == ()
    assert elected(two_stage_votes([[SYMPTOM], [DISEASE], [PART]], [1, 1, 1]), HALF) == (SYMPTOM,)


def test_weights_are_votes() -> None:
    ballots = [[DISEASE], [SYMPTOM], [SYMPTOM]]
    assert elected(span_votes(ballots, [3, 1, 1]), HALF) == (DISEASE,)
    assert elected(two_stage_votes(ballots, [3, 1, 1]), HALF) == (DISEASE,)
    assert elected(span_votes(ballots, [0.1, 0.2, 0.3]), HALF) == (SYMPTOM,)


@pytest.mark.parametrize(
    ("candidates", "stays"),
    [
        ([(Span(0, 4, "DISE"), 0.6), (Span(2, 4, "BODY"), 0.8)], [Span(2, 4, "BODY")]),
        ([(Span(0, 2, "BODY"), 0.6), (Span(0, 4, "DISE"), 0.6)], [Span(0, 4, "DISE")]),
        ([(Span(1, 3, "BODY"), 0.6), (Span(0, 2, "DISE"), 0.6)], [Span(0, 2, "DISE")]),
        (
            [(Span(2, 4, "BODY"), 1.0), (Span(0, 2, "BODY"), 0.5)],
            [Span(0, 2, "BODY"), Span(2, 4, "BODY")],
        ),
        ([(Span(0, 2, "BODY"), 0.4)], []),
    ],
)
def test_overlaps_go_by_votes_then_length_then_place(
    candidates: list[tuple[Span, float]], stays: list[Span]
) -> None:
    assert list(elected([Candidate(*each) for each in candidates], HALF)) == stays


@pytest.mark.parametrize("voting", VOTINGS)
@given(spans=flat(), count=st.integers(1, 4))
def test_systems_that_agree_elect_what_they_say(voting: str, spans: list[Span], count: int) -> None:
    found = VOTINGS[voting]([spans] * count, [1.0] * count)
    assert elected(found, dict.fromkeys(TYPES, 1.0)) == tuple(spans)


@pytest.mark.parametrize("voting", VOTINGS)
@given(ballots=st.lists(flat(), min_size=1, max_size=4), data=st.data())
def test_the_elected_never_overlap_and_were_voted_for(
    voting: str, ballots: list[list[Span]], data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.floats(0.1, 5), min_size=len(ballots), max_size=len(ballots)))
    thresholds = {type_: data.draw(st.floats(0, 1)) for type_ in TYPES}
    candidates = VOTINGS[voting](ballots, weights)
    found = elected(candidates, thresholds)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
    assert set(found) <= {span for spans in ballots for span in spans}
    shares = {each.span: each.share for each in candidates}
    assert all(thresholds[span.type] <= shares[span] <= 1 for span in found)


@given(st.lists(st.tuples(flat(), flat(), flat(), flat()), min_size=1, max_size=4))
def test_thresholds_are_never_worse_than_a_majority(
    sentences: list[tuple[list[Span], ...]],
) -> None:
    counted = [(gold, span_votes(ballots, [1, 1, 1])) for gold, *ballots in sentences]

    def f1(thresholds: dict[str, float]) -> float:
        return span_scores((gold, elected(found, thresholds)) for gold, found in counted).f1

    chosen = choose_thresholds(TYPES, [Judged(*each) for each in counted])
    assert set(chosen) == set(TYPES)
    assert f1(chosen) >= f1(HALF)
    for type_ in TYPES:  # and no single one can be bettered
        for share in (1 / 3, 2 / 3, 1.0):
            assert f1({**chosen, type_: round(share, 9)}) <= f1(chosen)


def test_a_type_has_a_threshold_of_its_own() -> None:
    part, disease = Span(0, 2, "BODY"), Span(4, 6, "DISE")
    # one system alone is right on BODY, and wrong on DISE unless another agrees
    judged = [
        Judged([part], span_votes([[part], [disease], []], [1, 1, 1])),
        Judged([part, disease], span_votes([[part, disease], [disease], []], [1, 1, 1])),
    ]
    chosen = choose_thresholds(TYPES, judged)
    assert chosen["BODY"] <= 1 / 3
    assert chosen["DISE"] > 1 / 3
    assert chosen["SYMP"] == chosen["DISE"] or chosen["SYMP"] == chosen["BODY"]
