"""Splits, leaks, limits and samples."""

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from chmed_ner.data.corpus import (
    Limit,
    Splits,
    assemble,
    carve_validation,
    drop_leaks,
    sample,
    sample_per_genre,
)
from chmed_ner.data.repairs import log_changes
from chmed_ner.entities.bio import chunks
from chmed_ner.entities.labels import label_scheme
from chmed_ner.entities.types import Sentence
from chmed_ner.errors import InputError
from chmed_ner.run.config import build

LABELS = label_scheme("two", {"A": {"traditional": "甲"}, "B": {"traditional": "乙"}})


def sentences(texts: Sequence[str], split: str = "train", genre: str = "FT") -> list[Sentence]:
    return [
        Sentence(f"{split}/{genre}/{number}", split, genre, text, ("O",) * len(text))
        for number, text in enumerate(texts)
    ]


def tagged(text: str, tags: str, number: int = 0) -> Sentence:
    read = tuple(tags.split())
    return Sentence(f"t/{number}", "train", "FT", text, read, chunks(read))


def in_order(part: Sequence[Sentence], whole: Sequence[Sentence]) -> bool:
    positions = [whole.index(sentence) for sentence in part]
    return positions == sorted(set(positions))


TEXTS = st.lists(st.text("甲乙丙丁", min_size=1, max_size=3), max_size=40)


@given(texts=TEXTS, share=st.floats(0, 1, exclude_max=True), seed=st.integers())
def test_carving_divides_the_texts(texts: list[str], share: float, seed: int) -> None:
    whole = sentences(texts)
    train, validation = carve_validation(whole, share, seed)
    assert sorted(s.id for s in (*train, *validation)) == sorted(s.id for s in whole)
    assert in_order(train, whole)
    assert in_order(validation, whole)
    train_texts, validation_texts = ({s.text for s in part} for part in (train, validation))
    assert not train_texts & validation_texts
    distinct = len(set(texts))
    if share == 0 or distinct < 2:
        assert not validation
    else:
        expected = min(distinct - 1, max(1, round(share * distinct)))
        assert len(validation_texts) == expected
    assert carve_validation(whole, share, seed) == (train, validation)


def test_carving_depends_on_the_seed() -> None:
    whole = sentences([str(number) for number in range(100)])
    carved = [carve_validation(whole, 0.1, seed)[1] for seed in range(3)]
    assert len({tuple(s.id for s in part) for part in carved}) == 3
    # The very sentences: a change here changes every published number.
    assert " ".join(s.text for s in carved[0]) == "15 18 28 37 45 52 65 66 87 98"


@given(texts=TEXTS, n=st.integers(0, 50), more=st.integers(0, 50), seed=st.integers())
def test_samples_are_nested_and_in_order(texts: list[str], n: int, more: int, seed: int) -> None:
    whole = sentences(texts)
    small, large = sample(whole, n, seed), sample(whole, n + more, seed)
    assert len(small) == min(n, len(whole))
    assert in_order(small, whole)
    assert set(small) <= set(large)
    assert sample(whole, None, seed) == tuple(whole)


def test_a_sample_is_not_the_first_sentences() -> None:
    whole = sentences([str(number) for number in range(200)])
    assert all(sample(whole, 20, seed) != tuple(whole[:20]) for seed in range(5))
    assert sample(whole, 20, 1) != sample(whole, 20, 2)


def test_a_genre_sample_does_not_depend_on_the_other_genres() -> None:
    texts = [str(number) for number in range(50)]
    formal, forum = sentences(texts, genre="FT"), sentences(texts, genre="SM")
    drawn = sample_per_genre([*formal, *forum], 5, 3)
    assert [sentence.genre for sentence in drawn] == ["FT"] * 5 + ["SM"] * 5
    assert drawn[5:] == sample_per_genre(forum, 5, 3)
    assert [s.text for s in drawn[:5]] != [s.text for s in drawn[5:]]


def test_leaks_are_dropped_and_counted() -> None:
    train = sentences("甲乙甲丙")
    kept, dropped = drop_leaks(train, sentences("甲丁", "test"))
    assert [sentence.text for sentence in kept] == ["乙", "丙"]
    assert dropped == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [("train", 0), ("train", -1), ("validation", -1), ("test", -1), ("test", 1.5), ("train", True)],
)
def test_limits_are_checked(key: str, value: int) -> None:
    target = {"_target_": "chmed_ner.data.Limit", key: value}
    with pytest.raises(InputError, match=rf"limit\.{key}="):
        build(target, "limit")


def splits(train: str, test: str, validation: str | None = None) -> Splits:
    own = None if validation is None else tuple(sentences(validation, "validation"))
    return Splits(
        tuple(sentences(train)), own, tuple(sentences(test, "test")), {"train.txt": "1"}, {}
    )


def test_assembling_carves_what_leaks_leave() -> None:
    corpus = assemble(
        "c", LABELS, splits("一二三四五六七", "七八"), share=0.5, seed=7, limit=Limit()
    )
    assert len(corpus.train) == len(corpus.validation) == 3
    assert {s.split for s in corpus.train} == {"train"}
    assert {s.split for s in corpus.validation} == {"validation"}
    assert {s.text for s in (*corpus.train, *corpus.validation)} == set("一二三四五六")
    assert corpus.counts["leaked_sentences"] == 1
    assert corpus.genres == ("FT",)
    assert corpus.training_files == {"train.txt": "1"}


def test_assembling_keeps_a_validation_file_and_drops_its_leaks() -> None:
    corpus = assemble("c", LABELS, splits("一二", "三", "三四"), share=0.5, seed=7, limit=Limit())
    assert [s.text for s in corpus.train] == ["一", "二"]
    assert [s.text for s in corpus.validation] == ["四"]
    assert corpus.counts["leaked_sentences"] == 1


def test_limits_cut_each_split() -> None:
    limit = Limit(train=2, validation=1, test=0)
    corpus = assemble("c", LABELS, splits("一二三四五六", "七八"), share=0.5, seed=7, limit=limit)
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (2, 1, 0)


def test_counts_are_of_the_training_files_as_read() -> None:
    train = (tagged("胃痛", "I-A I-A", 1), tagged("胃痛", "O-B B-B", 2), tagged("痛", "B-A", 3))
    test = (tagged("痛", "B-A"),)
    corpus = assemble(
        "c", LABELS, Splits(train, None, test, {}, {}), share=0, seed=0, limit=Limit(train=1)
    )
    assert dict(corpus.counts) == {
        "repaired_tags": 2,
        "repaired_stray_inside": 1,
        "repaired_type_change": 0,
        "repaired_malformed_prefix": 1,
        "leaked_sentences": 1,
        "conflicting_mentions": 1,
        "conflicting_sentences": 1,
        "empty_sentences_left_out": 0,
    }


def test_training_and_validation_tags_are_repaired_but_test_tags_are_not() -> None:
    stray = tagged("胃痛", "I-A I-B")
    splits_read = Splits((stray,), (tagged("痛", "i-A"),), (tagged("胃", "I-A"),), {}, {})
    corpus = assemble("c", LABELS, splits_read, share=0, seed=0, limit=Limit())
    assert corpus.train[0].tags == ("B-A", "B-B")
    assert corpus.train[0].entities == stray.entities
    assert corpus.validation[0].tags == ("B-A",)
    assert corpus.test == splits_read.test
    assert corpus.test[0].tags == ("I-A",)


def test_what_was_repaired_and_dropped_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    read = Splits(
        (tagged("胃痛", "I-A i-B"), tagged("痛", "O")), None, (tagged("痛", "O"),), {}, {}
    )
    log_changes("mine", assemble("mine", LABELS, read, share=0, seed=0, limit=Limit()).counts)
    assert [record.getMessage() for record in caplog.records] == [
        "mine: 2 tags of the training files repaired "
        "(1 stray_inside, 0 type_change, 1 malformed_prefix)",
        "mine: 1 training sentences dropped that are also test sentences",
    ]
    caplog.clear()
    unchanged = assemble("mine", LABELS, splits("一", "二"), share=0, seed=0, limit=Limit())
    log_changes("mine", unchanged.counts)
    assert not caplog.records


def test_training_on_the_test_file_is_refused() -> None:
    with pytest.raises(InputError, match="each of the 3 training sentences is also a test"):
        assemble("c", LABELS, splits("一二一", "一二三"), share=0.1, seed=0, limit=Limit())
