"""Breakdowns: each entity in the part of its own string or sentence, so that the parts add up."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

import chmed_ner
from chmed_ner.data.columns import read_columns
from chmed_ner.entities.types import Scores, Span
from chmed_ner.score.breakdowns import (
    ENTITY_LENGTHS,
    SENTENCE_LENGTHS,
    ScoredSentence,
    bucket,
    bucket_names,
    by_entity_length,
    by_seen,
    by_sentence_length,
    of_one_character,
    scores_by,
)
from chmed_ner.score.spans import span_scores

HAND = [
    ScoredSentence(
        "胃痛傷胃",
        (Span(0, 2, "DISE"), Span(3, 4, "BODY")),
        (Span(0, 1, "BODY"), Span(3, 4, "BODY")),
    ),
    ScoredSentence("血" * 30, (Span(0, 12, "CHEM"),), (Span(0, 12, "CHEM"), Span(13, 14, "CHEM"))),
]


def flat_spans(length: int) -> st.SearchStrategy[tuple[Span, ...]]:
    cuts = st.lists(st.integers(0, length), unique=True, max_size=8).map(sorted)
    types = st.sampled_from(["BODY", "DISE"])
    return st.builds(
        lambda points, type_: tuple(
            Span(a, b, type_) for a, b in zip(points[::2], points[1::2], strict=False)
        ),
        cuts,
        types,
    )


scored = st.lists(
    st.text("胃痛血", min_size=1, max_size=140).flatmap(
        lambda text: st.builds(
            ScoredSentence, st.just(text), flat_spans(len(text)), flat_spans(len(text))
        )
    ),
    max_size=5,
)


def test_by_hand() -> None:
    by_length = by_entity_length(HAND)
    assert list(by_length) == ["1", "2", "3", "4", "5", "6–7", "8–10", "11+"]
    assert by_length["1"] == Scores(1, 3, 1)
    assert by_length["2"] == Scores(1, 0, 0)
    assert by_length["11+"] == Scores(1, 1, 1)
    assert by_length["3"] == Scores(0, 0, 0)
    by_sentence = by_sentence_length(HAND)
    assert (by_sentence["1–20"], by_sentence["21–40"]) == (Scores(2, 2, 1), Scores(1, 2, 1))
    assert by_seen(HAND, {"胃"}) == {"seen": Scores(1, 2, 1), "unseen": Scores(2, 2, 1)}
    assert list(of_one_character(HAND).items()) == [
        (("胃", "BODY"), Scores(1, 2, 1)),
        (("血", "CHEM"), Scores(0, 1, 0)),
    ]


def test_a_span_of_no_part_is_left_out() -> None:
    bodies = scores_by(HAND, lambda _, span: span.type if span.type == "BODY" else None)
    assert bodies == {"BODY": Scores(1, 2, 1)}


@pytest.mark.parametrize(
    ("length", "name"), [(1, "1"), (5, "5"), (6, "6–7"), (7, "6–7"), (10, "8–10"), (11, "11+")]
)
def test_buckets(length: int, name: str) -> None:
    assert bucket(length, ENTITY_LENGTHS) == name


@given(st.integers(1, 500), st.sampled_from([ENTITY_LENGTHS, SENTENCE_LENGTHS]))
def test_a_bucket_holds_what_its_name_says(length: int, ends: tuple[int, ...]) -> None:
    name = bucket(length, ends)
    assert name in bucket_names(ends)
    low, _, high = name.removesuffix("+").partition("–")
    top = length if name.endswith("+") else int(high or low)
    assert int(low) <= length <= top


@given(scored, st.sets(st.text("胃痛血", min_size=1, max_size=3), max_size=10))
def test_the_parts_add_up_to_the_whole(sentences: list[ScoredSentence], training: set[str]) -> None:
    whole = span_scores((gold, predicted) for _, gold, predicted in sentences)
    for parts in (
        by_entity_length(sentences),
        by_sentence_length(sentences),
        by_seen(sentences, training),
    ):
        assert sum(each.gold for each in parts.values()) == whole.gold
        assert sum(each.predicted for each in parts.values()) == whole.predicted
        assert sum(each.correct for each in parts.values()) == whole.correct
    for side, scores in by_seen(sentences, training).items():
        parts = [
            [
                [s for s in spans if (text[s.start : s.end] in training) is (side == "seen")]
                for spans in (gold, predicted)
            ]
            for text, gold, predicted in sentences
        ]
        assert scores == span_scores(parts)
    one = of_one_character(sentences).values()
    assert sum(each.gold for each in one) == by_entity_length(sentences)["1"].gold


def test_the_reference_run(corpora_dir: Path) -> None:
    folder = corpora_dir / "rocling2023"
    files = folder / "MultiNER-Health_truth_FT.txt", folder / "reference_run" / "FT_result.txt"
    gold, predicted = (
        read_columns(file, prefix="ft-", split="test", genre="FT", labels=None) for file in files
    )
    sentences = [
        ScoredSentence(wanted.text, wanted.entities, given_.entities)
        for wanted, given_ in zip(gold, predicted, strict=True)
    ]
    one = by_entity_length(sentences)["1"]
    assert one == Scores(540, 209, 148)
    missed = {
        string: each.gold - each.correct for string, each in of_one_character(sentences).items()
    }
    worst = sorted(missed, key=lambda string: -missed[string])[:2]
    readme = (Path(chmed_ner.__file__).parent / "score" / "README.md").read_text(encoding="utf-8")
    assert (
        f"single characters: {one.gold - one.correct} of {one.gold} were not found, "
        f"{worst[0][0]} and {worst[1][0]} most often"
    ) in readme
