"""Entities inside others: layers, which sets are legal, and their restoration."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, strategies as st

from chmed_ner.entities import (
    POLICIES,
    Mention,
    Span,
    check_nested,
    crosses,
    in_text_order,
    inside,
    layers,
    nestable,
    outermost,
    restore,
    surest,
    tags_of,
)

LENGTH = 8
SPANS = st.builds(
    lambda start, size, type_: Span(start, min(start + size, LENGTH), type_),
    st.integers(0, LENGTH - 1),
    st.integers(1, LENGTH),
    st.sampled_from("AB"),
)
ANY = st.lists(SPANS, max_size=8)


@given(ANY)
def test_what_is_nestable_is_legal_and_as_much_as_can_be(spans: list[Span]) -> None:
    kept = nestable(spans)
    check_nested(kept, LENGTH)
    assert kept == in_text_order(kept)
    for left in set(spans) - set(kept):
        assert any(crosses(left, other) for other in kept)


@given(ANY)
def test_layers_are_flat_and_lose_nothing(spans: list[Span]) -> None:
    found = layers(set(spans))
    for layer in found:
        tags_of(layer, LENGTH)
    assert sorted(span for layer in found for span in layer) == sorted(set(spans))
    legal = nestable(spans)
    assert not inside(legal) & set(layers(legal)[0])


@given(ANY)
def test_the_outermost_of_each_type_are_flat_and_hold_the_others(spans: list[Span]) -> None:
    assert outermost(spans) == layers(spans)[0]
    found = outermost(set(spans), of_its_type=True)
    for type_ in {span.type for span in spans}:
        kept = [span for span in found if span.type == type_]
        assert all(a.end <= b.start for a, b in pairwise(kept))
        for span in spans:
            if span.type == type_ and span not in kept:
                assert any(a.start < span.end and span.start < a.end for a in kept)


@given(st.lists(st.tuples(SPANS, st.floats(0, 1))))
def test_of_two_that_cross_the_surer_stays(sure: list[tuple[Span, float]]) -> None:
    spans = {replace(span, confidence=share) for span, share in sure}
    tags_of(surest(spans, nested=False), LENGTH)  # none overlap
    kept = surest(spans, nested=True)
    assert kept == nestable(kept)
    for span in spans - set(kept):
        assert any(crosses(span, k) and k.confidence >= span.confidence for k in kept)


@given(ANY)
def test_inside_is_what_a_longer_one_holds(spans: list[Span]) -> None:
    def holds(other: Span, span: Span) -> bool:
        same = (other.start, other.end) == (span.start, span.end)
        return other.start <= span.start and span.end <= other.end and not same

    expected = {span for span in spans if any(holds(other, span) for other in spans)}
    assert inside(spans) == expected


@pytest.mark.parametrize(
    "spans",
    [
        [Span(0, 3, "A"), Span(2, 4, "A")],
        [Span(0, 3, "A"), Span(0, 3, "A")],
        [Span(0, 9, "A")],
        [Span(2, 2, "A")],
    ],
    ids=["crossing", "twice", "outside", "empty"],
)
def test_illegal_spans(spans: list[Span]) -> None:
    with pytest.raises(ValueError, match=r"Span\(start="):
        check_nested(spans, LENGTH)


TEXT = "肺炎与肺部"


@pytest.mark.parametrize(
    ("policy", "listed", "expected"),
    [
        # the second lung is free, so the first one is not marked inside the disease
        ("longest_first", "肺/B 肺炎/D", "03-04B 00-02D"),
        ("longest_first", "肺/B 肺炎/D 肺部/B", "00-01B 00-02D 03-04B 03-05B"),
        ("all_occurrences", "肺/B 肺炎/D", "00-01B 03-04B"),
        ("first", "肺炎/D 肺/B", "00-01B 00-02D"),
        ("in_order", "肺炎/D 肺/B 肺部/B", "00-01B 00-02D 03-05B"),
        ("in_order", "肺炎/D 肺部/B 肺/B", "00-02D 03-04B 03-05B"),
        ("in_order", "肺炎/D 肺炎/D", "00-02D"),
        ("in_order", "肺炎/A 肺炎/D", "00-02A 00-02D"),
    ],
)
def test_restoration(policy: str, listed: str, expected: str) -> None:
    mentions = [Mention(*each.split("/")) for each in listed.split()]
    wanted = {Span(int(e[:2]), int(e[3:5]), e[5:]) for e in expected.split()}
    found = restore(policy, TEXT, mentions, nested=True)
    if policy == "all_occurrences":  # in listed order: the disease is around a taken lung
        wanted.add(Span(0, 2, "D"))
    assert set(found) == wanted
    assert found == in_text_order(found)


@example("aab", [("b", Span(0, 1, "A")), ("ab", Span(0, 1, "A")), ("aa", Span(0, 1, "A"))])
@given(st.text("aab", max_size=10), st.lists(st.tuples(st.text("ab", max_size=3), SPANS)))
def test_restored_spans_are_legal(text: str, listed: list[tuple[str, Span]]) -> None:
    mentions = [Mention(words, span.type) for words, span in listed]
    for policy in POLICIES:
        check_nested(restore(policy, text, mentions, nested=True), len(text))
