"""The restoration policies by value, by property, and on the corpora."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from chmed_ner.data.columns import read_columns
from chmed_ner.data.healthner import read_healthner
from chmed_ner.entities.labels import Simplified, convert_leniently, in_script
from chmed_ner.entities.restoration import POLICIES, Headline, ceiling, occurrences, restore
from chmed_ner.entities.types import Mention, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.score.spans import span_scores

NAMES = ("longest_first", "all_occurrences", "first", "in_order")


def mentions(listed: str) -> list[Mention]:
    """`胃/B 胃痛/S` as mentions; a `/` alone before the type is the empty mention."""
    return [Mention(*words.split("/")) for words in listed.split()]


def shown(spans: tuple[Span, ...]) -> str:
    return " ".join(f"{span.start}-{span.end}/{span.type}" for span in spans)


# text, mentions, then the spans that each policy gives
TABLE = {
    "nothing": ("胃痛", "", *[""] * 4),
    "an empty sentence": ("", "胃/B", *[""] * 4),
    "one": ("有胃痛", "胃痛/S", *["1-3/S"] * 4),
    "the whole sentence": ("胃痛", "胃痛/S", *["0-2/S"] * 4),
    "one character at the end": ("痛在胃", "胃/B", *["2-3/B"] * 4),
    "repeated in the text": (
        *("胃、胃、胃", "胃/B"),
        *["0-1/B 2-3/B 4-5/B"] * 2,
        *["0-1/B"] * 2,
    ),
    "repeated in the list": (
        *("胃、胃、胃", "胃/B 胃/B"),
        *["0-1/B 2-3/B 4-5/B"] * 2,
        "0-1/B",
        "0-1/B 2-3/B",
    ),
    "more often in the list than in the text": (
        *("胃、胃", "胃/B 胃/B 胃/B"),
        *["0-1/B 2-3/B"] * 2,
        "0-1/B",
        "0-1/B 2-3/B",
    ),
    "adjacent, of the same type": (
        *("胃胃肝", "胃/B 胃/B 肝/B"),
        *["0-1/B 1-2/B 2-3/B"] * 2,
        "0-1/B 2-3/B",
        "0-1/B 1-2/B 2-3/B",
    ),
    "nested, short one first": (
        *("胃痛傷胃", "胃/B 胃痛/S"),
        "0-2/S 3-4/B",
        "0-1/B 3-4/B",
        "0-1/B",
        "0-1/B",
    ),
    "nested, long one first": (
        *("胃痛傷胃", "胃痛/S 胃/B"),
        *["0-2/S 3-4/B"] * 2,
        "0-2/S",  # the leftmost 胃 is taken, the second is not tried
        "0-2/S 3-4/B",
    ),
    "nested in the middle": (
        *("慢性胃炎症", "胃/B 慢性胃炎/D 胃炎症/S"),
        "0-4/D",
        *["2-3/B"] * 2,
        "2-3/B",
    ),
    "crossing, equally long: the first listed wins": (
        *("胃炎症", "炎症/S 胃炎/D"),
        *["1-3/S"] * 3,
        "1-3/S",
    ),
    "overlapping itself": (
        *("aaa", "aa/D"),
        *["0-2/D"] * 4,
    ),
    "overlapping itself twice": (
        *("aaaaa", "aa/D aa/D aa/D"),
        *["0-2/D 2-4/D"] * 2,
        "0-2/D",
        "0-2/D 2-4/D",
    ),
    "an overlapping occurrence that is free": (
        *("aaab", "ab/X aa/D"),  # of aa at 0 and 1, only 0 is free
        *["0-2/D 2-4/X"] * 3,
        "2-4/X",
    ),
    "an occurrence hidden behind a taken one": (
        *("baaa", "ba/X aa/D"),  # aa at 1 is taken, at 2 free though it overlaps the one at 1
        *["0-2/X 2-4/D"] * 2,
        "0-2/X",
        "0-2/X 2-4/D",
    ),
    "two types: the first listed wins": (
        *("胃、胃", "胃/B 胃/D"),
        *["0-1/B 2-3/B"] * 2,
        "0-1/B",
        "0-1/B 2-3/D",
    ),
    "two types, listed again": (
        *("胃、胃", "胃/D 胃/B 胃/D"),
        *["0-1/D 2-3/D"] * 2,
        "0-1/D",
        "0-1/D 2-3/B",
    ),
    "not found": (
        *("胃痛", "肝/B 胃/B 心/B 心/B"),
        *["0-1/B"] * 3,  # distinct pairs
        "0-1/B",  # each listed
    ),
    "the cursor stays where it is": (
        *("胃、肝、心", "胃/B 腎/B 肝/B 胃/B 心/B"),
        *["0-1/B 2-3/B 4-5/B"] * 3,
        "0-1/B 2-3/B 4-5/B",
    ),
    "listed against the text": (
        *("胃、肝", "肝/B 胃/B"),
        *["0-1/B 2-3/B"] * 3,
        "2-3/B",
    ),
    "empty mention": ("胃", "/B 胃/B /B", *["0-1/B"] * 3, "0-1/B"),
    "longer than the sentence": ("胃", "胃痛/S", *[""] * 4),
    "case and width matter here": ("ＡB", "AB/X ab/X", *[""] * 4),
    "astral and combining characters": (
        *("👩‍⚕️e\u0301𠀀", "𠀀/X e/Y"),
        *["4-5/Y 6-7/X"] * 3,
        "6-7/X",
    ),
}


@pytest.mark.parametrize("case", TABLE)
@pytest.mark.parametrize("policy", NAMES)
def test_by_value(policy: str, case: str) -> None:
    text, listed, *expected = TABLE[case]
    assert shown(restore(policy, text, mentions(listed))) == expected[NAMES.index(policy)]


def test_the_four_policies() -> None:
    assert tuple(POLICIES) == NAMES
    for policy in NAMES:
        assert Headline(policy).policy == policy
    with pytest.raises(KeyError):
        restore("longest", "胃", [])
    with pytest.raises(InputError) as caught:
        Headline("longest")
    for word in ("restoration.policy", "'longest'", *NAMES):
        assert word in str(caught.value)


def test_occurrences_overlap_each_other() -> None:
    assert list(occurrences("aaaa", "aa")) == [0, 1, 2]
    assert list(occurrences("aaaa", "")) == []
    assert list(occurrences("", "a")) == []


SHORT = st.text("ab胃👩\u200d\ud800 ", max_size=12)
LISTED = st.lists(st.builds(Mention, st.text("ab胃👩 ", max_size=3), st.sampled_from("XY")))


@given(text=SHORT, listed=LISTED)
def test_spans_are_flat_and_say_what_was_listed(text: str, listed: list[Mention]) -> None:
    for policy in NAMES:
        restored = restore(policy, text, listed)
        end = 0
        for span in restored:
            assert end <= span.start < span.end <= len(text)
            assert Mention(text[span.start : span.end], span.type) in listed
            end = span.end
        held = {mention for mention in listed if mention.text and mention.text in text}
        assert bool(restored) == bool(held)


@given(text=SHORT, listed=LISTED)
def test_the_greedy_policies_leave_nothing_that_fits(text: str, listed: list[Mention]) -> None:
    for policy in ("longest_first", "all_occurrences"):
        spans = restore(policy, text, listed)
        for mention in listed:
            for start in occurrences(text, mention.text):
                end = start + len(mention.text)
                assert any(span.start < end and start < span.end for span in spans)


@given(text=SHORT, listed=LISTED)
def test_longest_first_depends_on_order_only_among_equals(text: str, listed: list[Mention]) -> None:
    ordered = sorted(listed, key=lambda mention: -len(mention.text))
    assert restore("longest_first", text, listed) == restore("longest_first", text, ordered)
    assert restore("longest_first", text, ordered) == restore("all_occurrences", text, ordered)


@st.composite
def anything(draw: st.DrawFn) -> Sentence:
    """Arbitrary text with flat entities."""
    text = draw(
        st.text(st.characters(exclude_categories=()) | st.sampled_from("胃痛\0 👩\u200d\ud800"))
    )
    spans, start = [], 0
    while start < len(text):
        end = draw(st.integers(start + 1, len(text)))
        if draw(st.booleans()):
            spans.append(Span(start, end, draw(st.sampled_from("XY"))))
        start = end
    model_text = convert_leniently(Simplified(), text)[0]
    return Sentence("1", "test", "FT", text, None, tuple(spans), model_text)


@given(anything())
def test_gold_mentions_of_any_text_are_restored(sentence: Sentence) -> None:
    for text in (sentence.text, sentence.model_text):
        listed = [Mention(text[span.start : span.end], span.type) for span in sentence.entities]
        for policy in NAMES:
            restored = restore(policy, text, listed)
            assert bool(restored) == bool(listed)
            assert all(span.end <= len(sentence.text) for span in restored)


@pytest.fixture(scope="module")
def corpora(corpora_dir: Path) -> dict[str, tuple[Sentence, ...]]:
    """Each gold file that is there, in the simplified script."""
    found: dict[str, tuple[Sentence, ...]] = {}
    for path in sorted(corpora_dir.glob("rocling202?/*_truth*.txt")):
        options = {"prefix": f"{path.stem}/", "split": "test", "genre": "G", "labels": None}
        found[path.stem] = in_script(Simplified(), read_columns(path, **options))
    for path in sorted(corpora_dir.glob("healthner/*.json")):
        options = {"prefix": f"{path.stem}/", "split": "test", "genres": ("FT", "SM")}
        found[path.stem] = in_script(Simplified(), read_healthner(path, **options, labels=None))
    return found


def gold_mentions(sentence: Sentence, text: str) -> list[Mention]:
    return [Mention(text[span.start : span.end], span.type) for span in sentence.entities]


@pytest.mark.parametrize("policy", NAMES)
def test_gold_mentions_of_the_corpora_are_restored(
    policy: str, corpora: dict[str, tuple[Sentence, ...]]
) -> None:
    for sentences in corpora.values():
        for sentence in sentences:
            for text in (sentence.text, sentence.model_text):
                restored = restore(policy, text, gold_mentions(sentence, text))
                assert bool(restored) == bool(sentence.entities)
                end = 0
                for span in restored:
                    assert end <= span.start < span.end <= len(text)
                    end = span.end


@pytest.mark.parametrize(
    ("corpus", "ceilings"),
    [
        ("MultiNER-Health_truth_FT", (99.21, 94.94, 91.54, 99.73)),
        ("MultiNER-Health_truth_WA", (99.70, 95.45, 94.95, 99.96)),
        ("ROCLING22_CHNER_truth", (99.71, 95.54, 94.78, 99.91)),
        ("test", (99.39, 96.00, 92.49, 99.82)),
    ],
)
def test_the_published_ceilings(
    corpus: str, ceilings: tuple[float, ...], corpora: dict[str, tuple[Sentence, ...]]
) -> None:
    scores = [ceiling(policy, corpora[corpus]) for policy in NAMES]
    assert tuple(round(score.f1, 2) for score in scores) == ceilings


def test_in_order_needs_the_repeats(corpora: dict[str, tuple[Sentence, ...]]) -> None:
    scores = span_scores(
        (
            sentence.entities,
            restore(
                "in_order",
                sentence.text,
                list(dict.fromkeys(gold_mentions(sentence, sentence.text))),
            ),
        )
        for sentence in corpora["MultiNER-Health_truth_FT"]
    )
    assert round(scores.f1, 1) == 93.8
