"""Error classes: they add up, and the order of the lists does not matter."""

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

import chmed_ner
from chmed_ner.data.columns import read_columns
from chmed_ner.entities.types import Span
from chmed_ner.score.breakdowns import ERROR_KINDS, confusions, error_kinds, pairings

spans = st.builds(
    lambda start, length, type_: Span(start, start + length, type_),
    st.integers(0, 10),
    st.integers(1, 5),
    st.sampled_from(["BODY", "DISE", "SYMP"]),
)
span_sets = st.sets(spans, max_size=6)


def kinds(gold, predicted) -> dict[str, int]:
    found = error_kinds([Span(*g) for g in gold], [Span(*p) for p in predicted])
    assert tuple(found) == ERROR_KINDS
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


def test_confusions_by_hand() -> None:
    gold = [Span(0, 2, "SYMP"), Span(3, 4, "BODY"), Span(5, 7, "DRUG"), Span(8, 9, "TIME")]
    predicted = [Span(0, 2, "DISE"), Span(3, 4, "BODY"), Span(5, 6, "CHEM"), Span(10, 11, "EXAM")]
    assert confusions(gold, predicted) == {
        ("SYMP", "DISE", "type"): 1,
        ("BODY", "BODY", "correct"): 1,
        ("DRUG", "CHEM", "boundary_and_type"): 1,
        ("TIME", None, "missed"): 1,
        (None, "EXAM", "spurious"): 1,
    }


@given(span_sets, span_sets)
def test_confusions_add_up_by_type_and_by_kind(gold, predicted) -> None:
    found = confusions(gold, predicted)
    kinds: Counter[str] = Counter()
    for (wanted, given_, kind), count in found.items():
        kinds[kind] += count
        assert (wanted is None) is (kind == "spurious")
        assert (given_ is None) is (kind == "missed")
        assert wanted == given_ or kind not in ("correct", "boundary")
        assert wanted != given_ or kind in ("correct", "boundary")
    assert {kind: kinds[kind] for kind in ERROR_KINDS} == error_kinds(gold, predicted)
    for side, spans in enumerate((gold, predicted)):
        by_type: Counter[str] = Counter()
        for confusion, count in found.items():
            if confusion[side] is not None:
                by_type[str(confusion[side])] += count
        assert by_type == Counter(span.type for span in spans)


def test_reference_run_adds_up(corpora_dir: Path) -> None:
    folder = corpora_dir / "rocling2023"
    files = folder / "MultiNER-Health_truth_FT.txt", folder / "reference_run" / "FT_result.txt"
    gold, predicted = (
        read_columns(file, prefix="ft-", split="test", genre="FT", labels=None) for file in files
    )
    found = dict.fromkeys(ERROR_KINDS, 0)
    cells: Counter[tuple[str | None, str | None, str]] = Counter()
    for wanted, given_ in zip(gold, predicted, strict=True):
        cells.update(confusions(wanted.entities, given_.entities))
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
    assert sum(n for (gold_type, _, _), n in cells.items() if gold_type) == 10_849
    assert sum(n for (_, predicted_type, _), n in cells.items() if predicted_type) == 9075
    readme = (Path(chmed_ner.__file__).parent / "score" / "README.md").read_text(encoding="utf-8")
    reading = readme[readme.index("On the reference run") :]
    both = found["boundary_and_type"]
    said = [
        f"{cells['SYMP', None, 'missed']} of the {found['missed']:,}",
        f"Of the {found['type']} wrong types on a right span {cells['SYMP', 'DISE', 'type']} are",
        f"{cells['CHEM', 'BODY', 'type']} a gold CHEM called BODY",
        f"{cells['CHEM', 'SUPP', 'type']} a gold CHEM called SUPP",
        f"of the {on_span('SYMP', cells):,} symptoms whose span was found",
        f"{cells[None, 'BODY', 'spurious']} of the {found['spurious']:,} spurious",
        f"{cells['SYMP', 'SYMP', 'boundary']} of the {found['boundary']} wrong boundaries",
        f"{cells['SYMP', 'BODY', 'boundary_and_type']} of the {both} are a symptom",
        f"{cells['DRUG', 'TREAT', 'boundary_and_type']} of the {both} a drug",
    ]
    assert [words for words in said if words not in reading] == []


def on_span(type_: str, cells: Counter[tuple[str | None, str | None, str]]) -> int:
    """Gold entities of a type that were predicted with their own span, of whatever type."""
    kinds = ("correct", "type")
    return sum(n for (gold, _, kind), n in cells.items() if gold == type_ and kind in kinds)
