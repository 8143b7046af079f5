"""Scores on spans, mentions and characters."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from chmed_ner.entities.bio import tags_of
from chmed_ner.entities.types import Mention, Scores, Span
from chmed_ner.errors import InputError
from chmed_ner.score.breakdowns import ScoredSentence, by_seen
from chmed_ner.score.official import score_sentences
from chmed_ner.score.spans import mention_scores, scores_by_type, span_scores, tag_scores, total

LENGTH = 12


@st.composite
def flat_spans(draw: st.DrawFn) -> tuple[Span, ...]:
    """Spans of a sentence of 12 characters that do not overlap, adjacent ones included."""
    cuts = sorted(draw(st.sets(st.integers(0, LENGTH))))
    types = st.sampled_from([None, "BODY", "DISE", "A-B"])
    spans = [
        Span(start, end, type_)
        for start, end in pairwise(cuts)
        if (type_ := draw(types)) is not None
    ]
    return tuple(spans)


pairs = st.lists(st.tuples(flat_spans(), flat_spans()), max_size=5)


@given(pairs)
def test_flat_spans_score_as_their_tags_do_officially(sentences) -> None:
    gold = [tags_of(wanted, LENGTH) for wanted, _ in sentences]
    predicted = [tags_of(given_, LENGTH) for _, given_ in sentences]
    official = score_sentences(gold, predicted, separators=0)
    assert scores_by_type(sentences) == official.per_type
    assert span_scores(sentences) == official.overall == total(official.per_type)


def test_spans_count_once_and_only_in_their_sentence() -> None:
    a, b = Span(0, 2, "DISE"), Span(3, 4, "BODY")
    assert span_scores([((a, b), (b, b)), ((), (a,))]) == Scores(gold=2, predicted=2, correct=1)
    assert span_scores([((a,), (Span(0, 2, "BODY"),))]) == Scores(1, 1, 0)
    assert span_scores([]) == Scores(0, 0, 0)


def test_mentions_are_distinct_pairs_of_a_sentence() -> None:
    gold = [Mention("胃", "BODY"), Mention("胃", "BODY"), Mention("胃痛", "SYMP")]
    listed = [Mention("胃痛", "SYMP"), Mention("胃", "DISE"), Mention("胃痛", "SYMP")]
    assert mention_scores([(gold, listed), ([], gold)]) == Scores(2, 4, 1)


def test_tags_count_characters() -> None:
    gold = ["B-BODY", "I-BODY", "O", "i-CHEM", "B-DISE"]
    predicted = ["B-BODY", "B-BODY", "B-BODY", "I-CHEM", "O"]
    assert tag_scores([(gold, predicted), (["O"], ["O"])]) == Scores(4, 4, 1)
    with pytest.raises(InputError, match="5 gold tags, but 1"):
        tag_scores([(gold, ["O"])])


def test_seen_and_unseen_by_the_entity_s_own_string() -> None:
    text = "胃痛與頭痛"
    gold = (Span(0, 2, "SYMP"), Span(3, 5, "SYMP"))
    predicted = (Span(0, 1, "BODY"), Span(3, 5, "SYMP"))
    seen, unseen = by_seen([ScoredSentence(text, gold, predicted)], {"胃", "頭痛"}).values()
    assert seen == Scores(gold=1, predicted=2, correct=1)
    assert unseen == Scores(gold=1, predicted=0, correct=0)


@given(pairs, st.sets(st.sampled_from("甲乙丙丁")))
def test_seen_and_unseen_add_up(sentences, known) -> None:
    text = "甲乙丙丁" * 3
    answers = [ScoredSentence(text, wanted, given_) for wanted, given_ in sentences]
    seen, unseen = by_seen(answers, known).values()
    assert total({"seen": seen, "unseen": unseen}) == span_scores(sentences)
