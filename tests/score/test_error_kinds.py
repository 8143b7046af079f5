"""Error classes: they add up, and the order of the lists does not matter."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chmed_ner.data.columns import read_columns
from chmed_ner.score.error_kinds import KINDS, error_kinds, pairings, type_confusions
from chmed_ner.types import Span

spans = st.builds(
    lambda start, length, type_: Span(start, start + length, type_),
    st.integers(0, 10),
    st.integers(1, 5),
    st.sampled_from(["BODY", "DISE", "SYMP"]),
)
span_sets = st.sets(spans, max_size=6)


def kinds(gold, predicted) -> dict[str, int]:
    found = error_kinds([Span(*g) for g in gold], [Span(*p) for p in predicted])
    assert tuple(found) == KINDS
    return {kind: n for kind, n in found.items() if n}


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ([], [], {}),
        ([(0, 2, "A")], [(0, 2, "A")], {"correct": 1}),
        ([(0, 2, "A")], [(0, 2, "B")], {"type": 1}),
        ([(0, 2, "A")], [(0, 3, "A")], {"boundary": 1}),
        ([(0, 2, "A")], [(1, 3, "B")], {"boundary_and_type": 1}),
        ([(0, 2, "A")], [(2, 3, "A")], {"missed": 1, "spurious": 1}),
        ([(0, 4, "A")], [(0, 2, "A"), (2, 4, "A")], {"boundary": 1, "spurious": 1}),
        ([(0, 2, "A"), (2, 4, "A")], [(0, 4, "A")], {"boundary": 1, "missed": 1}),
        # The same span goes before the same type elsewhere.
        ([(0, 3, "A")], [(0, 3, "B"), (2, 4, "A")], {"type": 1, "spurious": 1}),
        # The same type goes before a larger overlap with another type.
        ([(0, 5, "A")], [(0, 4, "B"), (4, 6, "A")], {"boundary": 1, "spurious": 1}),
        # The largest overlap wins: [2,6) answers [3,6), so [0,3) takes what is left of it.
        (
            [(0, 3, "A"), (3, 6, "A")],
            [(2, 6, "A"), (0, 1, "B")],
            {"boundary": 1, "boundary_and_type": 1},
        ),
    ],
)
def test_hand_counted(gold, predicted, expected) -> None:
    assert kinds(gold, predicted) == expected


@given(span_sets, span_sets)
def test_classes_add_up(gold, predicted) -> None:
    found = error_kinds(gold, predicted)
    shared = sum(found[k] for k in ("correct", "boundary", "type", "boundary_and_type"))
    assert shared + found["missed"] == len(gold)
    assert shared + found["spurious"] == len(predicted)
    assert found["correct"] == len(gold & predicted)
    used = pairings(gold, predicted)
    assert sorted(p.gold for p in used if p.gold) == sorted(gold)
    assert sorted(p.predicted for p in used if p.predicted) == sorted(predicted)


@given(span_sets, span_sets, st.randoms(use_true_random=False))
def test_order_does_not_matter(gold, predicted, draw: random.Random) -> None:
    shuffled_gold, shuffled_predicted = list(gold), list(predicted)
    draw.shuffle(shuffled_gold)
    draw.shuffle(shuffled_predicted)
    assert pairings(shuffled_gold, shuffled_predicted) == pairings(sorted(gold), sorted(predicted))


@given(span_sets, span_sets)
def test_a_missed_entity_has_no_free_overlapping_prediction(gold, predicted) -> None:
    left = [p for p in pairings(gold, predicted) if p.kind in ("missed", "spurious")]
    for missed in (p.gold for p in left if p.gold):
        for spurious in (p.predicted for p in left if p.predicted):
            assert missed.end <= spurious.start or spurious.end <= missed.start


def test_confusions_hold_the_same_span_pairs_only() -> None:
    gold = [Span(0, 2, "SYMP"), Span(3, 4, "BODY"), Span(5, 7, "DRUG")]
    predicted = [Span(0, 2, "DISE"), Span(3, 4, "BODY"), Span(5, 6, "CHEM")]
    assert type_confusions(gold, predicted) == {("SYMP", "DISE"): 1, ("BODY", "BODY"): 1}


def test_reference_run_adds_up(corpora_dir: Path) -> None:
    folder = corpora_dir / "rocling2023"
    files = folder / "MultiNER-Health_truth_FT.txt", folder / "reference_run" / "FT_result.txt"
    gold, predicted = (
        read_columns(file, prefix="ft-", split="test", genre="FT", labels=None) for file in files
    )
    found = dict.fromkeys(KINDS, 0)
    for wanted, given_ in zip(gold, predicted, strict=True):
        for kind, n in error_kinds(wanted.entities, given_.entities).items():
            found[kind] += n
    assert found == {
        "correct": 6085,
        "boundary": 855,
        "type": 708,
        "boundary_and_type": 360,
        "missed": 2841,
        "spurious": 1067,
    }
    shared = 6085 + 855 + 708 + 360
    assert (shared + 2841, shared + 1067) == (10_849, 9075)
