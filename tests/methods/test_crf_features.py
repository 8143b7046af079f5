"""What the CRF sees of a sentence, and that training sentences do not see themselves."""

from functools import partial

from hypothesis import given, strategies as st

from chmed_ner.entities.lexicon import Entry, Lexicon
from chmed_ner.entities.types import Sentence, Span
from chmed_ner.methods.features import (
    character_class,
    folds_of,
    out_of_fold_features,
    sentence_features,
)

LEXICON = Lexicon(
    {
        "頭痛": Entry("SYMP", 0.9, 0.8),
        "頭": Entry("BODY", 0.1, 0.2),
        "胃": Entry("BODY", 1.0, 0.7),
    }
)
features = partial(sentence_features, LEXICON)
LEXICAL = ("word", "from=", "to=")


def lexical(row: list[str]) -> set[str]:
    """The features of a character that come from the lexicon, those of its neighbours left out."""
    return {each for each in row if each.startswith(LEXICAL) and "1=" not in each[:7]}


def sentence(number: int, text: str, *spans: tuple[int, int, str]) -> Sentence:
    return Sentence(str(number), "train", "FT", text, None, tuple(Span(*s) for s in spans), text)


def test_lexicon_matches_with_their_roles() -> None:
    rows = features("我頭痛，胃")
    assert lexical(rows[0]) == set()
    assert {each for each in rows[1] if each.startswith("word=")} >= {"word=B:SYMP"}
    assert {each for each in rows[2] if each.startswith("word=")} >= {"word=E:SYMP"}
    assert {each for each in rows[4] if each.startswith("word=")} >= {"word=S:BODY"}
    assert any(each.startswith("from=2:SYMP") for each in rows[1])  # the longest from there
    assert any(each.startswith("to=1:BODY") for each in rows[1])


def test_windows_reach_five_characters_and_stop_at_the_ends() -> None:
    rows = features("一二三四五六")
    assert "0:4=一二三四五" in rows[0]
    assert "-4:0=一二三四五" in rows[4]
    assert "-2:2=二三四五六" in rows[3]
    assert not any(each.startswith("0:1=") and each.endswith("六") for each in rows[5])


def test_classes_and_brackets() -> None:
    assert "".join(map(character_class, "血A1β，a 𠮷 😀")) == "HA0gPa_H_S"
    rows = features("肝（Ab）。")
    assert [any(each == "bracketed" for each in row) for row in rows] == [
        False, False, True, True, False, False,
    ]  # fmt: skip
    assert "run=0,1" in rows[2]
    assert "run=1,0" in rows[3]


@given(st.text(max_size=30))
def test_any_text_has_features_for_each_character(text: str) -> None:
    rows = features(text)
    assert len(rows) == len(text)
    assert rows == features(text)


def test_a_sentence_s_lexicon_features_come_from_the_other_folds() -> None:
    common = [sentence(n, "他頭痛嗎", (1, 3, "SYMP")) for n in range(0, 6)]
    varied = [
        sentence(10 + n, f"{c}的頭痛", (2, 4, "SYMP")) for n, c in enumerate("甲乙丙丁戊己庚辛")
    ]
    alone = sentence(99, "吃維他命", (1, 4, "SUPP"))
    found = out_of_fold_features(
        [*common, *varied, alone], ("SYMP", "SUPP"), 4, seed=1, features=sentence_features
    )
    assert not any(lexical(row) for row in found[-1])  # nobody else has ever named it
    assert all(lexical(rows[2]) for rows in found[6:-1])


@given(st.lists(st.text("甲乙丙", min_size=1, max_size=2), max_size=30), st.integers(2, 6))
def test_folds_are_disjoint_and_keep_a_text_together(texts: list[str], count: int) -> None:
    sentences = [sentence(number, text) for number, text in enumerate(texts)]
    folds = folds_of(sentences, count, seed=3)
    assert len(folds) <= count
    assert sorted(int(each.id) for fold in folds for each in fold) == list(range(len(texts)))
    for text in set(texts):
        assert sum(any(each.text == text for each in fold) for fold in folds) == 1
    assert folds == folds_of(sentences, count, seed=3)
