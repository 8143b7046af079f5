"""Counting mentions, and finding them again."""

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import given, strategies as st

from chmed_ner.entities.lexicon import (
    Entry,
    Lexicon,
    StringIndex,
    beta_prior,
    count_mentions,
    mention_strings,
)
from chmed_ner.entities.types import Sentence, Span

TYPES = ("DISE", "SYMP")


def sentence(text: str, *spans: tuple[int, int, str], id_: str = "0") -> Sentence:
    """A training sentence whose text the model reads as it is."""
    found = tuple(Span(*span) for span in spans)
    return Sentence(id_, "train", "FT", text, None, found, text)


def lexicon_of(sentences: Sequence[Sentence]) -> Lexicon:
    """The lexicon of the sentences."""
    index = StringIndex(mention_strings(sentences))
    return count_mentions(sentences, index).lexicon(TYPES)


@st.composite
def sentences(draw: st.DrawFn) -> list[Sentence]:
    """Sentences over three characters, with entities that do not overlap."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        text = draw(st.text("甲乙丙", min_size=1, max_size=9))
        cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
        spans = [
            (start, end, draw(st.sampled_from(TYPES)))
            for start, end in zip(cuts[::2], cuts[1::2], strict=False)
        ]
        found.append(sentence(text, *spans, id_=str(number)))
    return found


texts = st.text("甲乙丙", max_size=12)


def test_shares_types_and_ties() -> None:
    lexicon = lexicon_of(
        [
            sentence("血壓高，血多", (0, 2, "SYMP"), (4, 5, "DISE")),
            sentence("血少，血壓", (3, 5, "DISE")),
            sentence("痛痛", (0, 1, "SYMP"), (1, 2, "DISE")),
        ]
    )
    assert {string: entry[:2] for string, entry in lexicon.entries.items()} == {
        "血壓": ("DISE", 1.0),  # a tie: the scheme's first type
        "血": ("DISE", 0.25),  # one of four, those inside 血壓 too
        "痛": ("DISE", 1.0),
    }


def test_the_longest_of_nested_strings_is_taken() -> None:
    lexicon = Lexicon(
        {s: Entry("DISE", p, p) for s, p in (("血", 0.2), ("血壓", 0.6), ("壓力", 0.9))}
    )
    assert lexicon.spans("血壓力，血", 0.0) == (Span(0, 2, "DISE"), Span(4, 5, "DISE"))
    assert lexicon.spans("血壓力，血", 0.6) == (Span(0, 2, "DISE"),)
    assert lexicon.spans("血壓力，血", 0.7) == (Span(1, 3, "DISE"),)


@given(sentences(), texts)
def test_matches_are_all_occurrences(training: list[Sentence], text: str) -> None:
    lexicon = lexicon_of(training)
    found = {(match.start, match.end) for match in lexicon.matches(text)}
    assert found == {
        (start, end)
        for start in range(len(text))
        for end in range(start + 1, len(text) + 1)
        if text[start:end] in lexicon.entries
    }


@given(sentences(), texts, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_the_longest_match_of_each_start_is_taken_from_left_to_right(
    training: list[Sentence], text: str, threshold: float
) -> None:
    lexicon = lexicon_of(training)
    used = {s: e for s, e in lexicon.entries.items() if e.probability >= threshold}
    expected, start = [], 0
    while start < len(text):
        ends = [end for end in range(start + 1, len(text) + 1) if text[start:end] in used]
        if ends:
            expected.append(Span(start, ends[-1], used[text[start : ends[-1]]].type))
        start = ends[-1] if ends else start + 1
    assert lexicon.spans(text, threshold) == tuple(expected)


@given(sentences(), st.data())
def test_counts_without_a_part_are_those_of_the_rest(
    training: list[Sentence], data: st.DataObject
) -> None:
    index = StringIndex(mention_strings(training))
    taken = data.draw(st.sets(st.sampled_from(range(len(training)))))
    part = [each for number, each in enumerate(training) if number in taken]
    rest = [each for number, each in enumerate(training) if number not in taken]
    left = count_mentions(training, index).without(count_mentions(part, index))
    assert left.lexicon(TYPES).entries == lexicon_of(rest).entries


@given(sentences())
def test_shares_lie_between_0_and_1(training: list[Sentence]) -> None:
    for string, entry in lexicon_of(training).entries.items():
        assert string
        assert 0 < entry.probability <= 1
        assert 0 < entry.confidence < 1


def test_a_string_seen_once_is_less_sure_than_one_seen_often() -> None:
    once = [sentence(f"得{name}", (1, 2, "DISE")) for name in "甲乙丙丁戊"]
    often = [sentence("有癌", (1, 2, "DISE"))] * 20
    lexicon = lexicon_of([*once, *often])
    (one,), (many,) = lexicon.spans("甲", 1.0), lexicon.spans("癌", 1.0)
    assert 0.5 < (one.confidence or 0) < (many.confidence or 0) < 1
    assert lexicon.judged("甲", [Span(0, 1, "SYMP")])[0].confidence == 0


def test_the_prior_predicts_occurrences_from_the_others_of_their_string() -> None:
    draw = np.random.default_rng(1)
    shares = draw.beta(2, 3, 4000)
    counts = [(int(draw.binomial(8, share)), 8) for share in shares]
    yes, no = beta_prior((k, n) for k, n in counts if k > 1)  # once is as good as never here

    def score(a: float, b: float) -> float:
        kept = [(k, n) for k, n in counts if k > 1]
        return sum(
            k * math.log((k - 1 + a) / (n - 1 + a + b))
            + (n - k) * (math.log((n - k - 1 + b) / (n - 1 + a + b)) if n > k else 0)
            for k, n in kept
        )

    best = score(yes, no)
    for factor in (0.9, 1.1):
        assert best > score(yes * factor, no)
        assert best > score(yes, no * factor)
