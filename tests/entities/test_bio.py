"""Spans <-> BIO tags, against tables worked out by hand from the organisers' rules."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from chmed_ner.entities.bio import chunks, split_tag, tags_of
from chmed_ner.entities.types import Span
from chmed_ner.errors import InputError

LENGTH = 15


@st.composite
def flat_spans(draw: st.DrawFn) -> tuple[Span, ...]:
    """Spans that do not overlap in a sentence of 15 characters, in text order."""
    cuts = sorted(draw(st.sets(st.integers(0, LENGTH))))
    types = st.sampled_from([None, "BODY", "DISE", "A-B", ""])
    return tuple(
        Span(start, end, type_)
        for start, end in pairwise(cuts)
        if (type_ := draw(types)) is not None
    )


TABLE = [
    ("", []),
    ("O O O", []),
    ("B-X", [(0, 1, "X")]),
    ("B-X I-X O B-Y", [(0, 2, "X"), (3, 4, "Y")]),
    ("O B-X I-X", [(1, 3, "X")]),
    ("B-X I-X B-X I-X", [(0, 2, "X"), (2, 4, "X")]),  # adjacent, of the same type
    ("B-X B-X B-X", [(0, 1, "X"), (1, 2, "X"), (2, 3, "X")]),
    ("B-X I-X B-Y I-Y", [(0, 2, "X"), (2, 4, "Y")]),
    ("B-X I-Y I-Y", [(0, 1, "X"), (1, 3, "Y")]),  # the type changes inside
    ("B-X I-Y I-X", [(0, 1, "X"), (1, 2, "Y"), (2, 3, "X")]),
    ("I-X I-X O", [(0, 2, "X")]),  # a stray I- starts
    ("O I-X O I-X", [(1, 2, "X"), (3, 4, "X")]),
    ("B-X O I-X", [(0, 1, "X"), (2, 3, "X")]),
    ("B-X i-X I-X", [(0, 3, "X")]),  # i- continues
    ("O i-X i-X", [(1, 3, "X")]),  # and starts
    ("B-X i-Y", [(0, 1, "X"), (1, 2, "Y")]),
    ("B-X O-X I-X", [(0, 1, "X"), (2, 3, "X")]),  # O-X is outside
    ("O-X O-X", []),
    ("S-X S-X", [(0, 1, "X"), (1, 2, "X")]),
    ("B-X S-X I-X", [(0, 1, "X"), (1, 2, "X"), (2, 3, "X")]),
    ("B-X E-X I-X", [(0, 2, "X"), (2, 3, "X")]),
    ("B-A-B I-A-B B-A", [(0, 2, "A-B"), (2, 3, "A")]),  # split at the first hyphen only
    ("B- I- O", [(0, 2, "")]),
]


@pytest.mark.parametrize(("tags", "expected"), TABLE)
def test_chunks_by_hand(tags: str, expected: list[tuple[int, int, str]]) -> None:
    assert chunks(tags.split()) == tuple(Span(*each) for each in expected)


@pytest.mark.parametrize(
    ("tags", "count"),
    [
        ("B-X I-X O B-X I-X B-X", 0),
        ("I-X I-X O", 1),  # only the first becomes B-X
        ("O I-X O I-Y", 2),
        ("B-X i-X", 1),
        ("i-X i-X", 2),
        ("B-X O-X", 1),
        ("B-X I-Y I-Y", 1),
        ("", 0),
    ],
)
def test_tags_that_change_when_they_are_written_again(tags: str, count: int) -> None:
    read = tags.split()
    written = tags_of(chunks(read), len(read))
    assert sum(a != b for a, b in zip(read, written, strict=True)) == count


@pytest.mark.parametrize(
    ("tag", "parts"),
    [("O", ("O", "")), ("B-DISE", ("B", "DISE")), ("I-A-B", ("I", "A-B")), ("O-X", ("O", "X"))],
)
def test_a_tag_is_split_at_its_first_hyphen(tag: str, parts: tuple[str, str]) -> None:
    assert split_tag(tag) == parts


@pytest.mark.parametrize("tag", ["B", "DISE", "", "o", " "])
def test_what_is_no_tag_is_refused_by_name(tag: str) -> None:
    for tags in ([tag], ["O", tag, "O"], ["B-X", tag], ["O", "O", tag]):
        with pytest.raises(InputError) as caught:
            chunks(tags)
        assert repr(tag) in str(caught.value)


@given(flat_spans())
def test_spans_come_back_from_their_tags(spans: tuple[Span, ...]) -> None:
    tags = tags_of(spans[::-1], LENGTH)
    assert len(tags) == LENGTH
    assert chunks(tags) == spans


@given(
    st.lists(
        st.builds(
            "{}-{}".format, st.sampled_from(["B", "I", "i", "O", "E", "S"]), st.sampled_from("XY")
        )
        | st.just("O")
    )
)
def test_any_tags_give_flat_spans_over_what_is_not_outside(tags: list[str]) -> None:
    found = chunks(tags)
    covered = [position for span in found for position in range(span.start, span.end)]
    assert covered == [i for i, tag in enumerate(tags) if not tag.startswith("O")]
    assert all(tags[i].endswith(f"-{s.type}") for s in found for i in range(s.start, s.end))
    repaired = tags_of(found, len(tags))
    assert chunks(repaired) == found


@pytest.mark.parametrize(
    "spans",
    [
        [Span(0, 2, "X"), Span(1, 3, "Y")],
        [Span(1, 2, "X"), Span(1, 2, "X")],
        [Span(2, 2, "X")],
        [Span(3, 2, "X")],
        [Span(-1, 2, "X")],
        [Span(3, 5, "X")],
    ],
)
def test_spans_that_no_tags_can_say_are_refused(spans: list[Span]) -> None:
    with pytest.raises(ValueError, match="Span"):
        tags_of(spans, 4)
