"""Word lists as they are read: formats, scripts, types, what was taken from sentences."""

from pathlib import Path
from typing import Any

import pytest

from chmed_ner.data import Gazetteer, WordList
from chmed_ner.entities import Sentence, Simplified, Span, Traditional
from chmed_ner.errors import InputError
from chmed_ner.run.config import compose, configure

LABELS = configure(compose([]), {}).dataset.scheme


def read(tmp_path: Path, text: str, run_script: Any = None, **keys: Any) -> WordList:
    (tmp_path / "words.txt").write_text(text, encoding="utf-8")
    gazetteer = Gazetteer(lists={"mine": {"file": "words.txt", **keys}})
    return gazetteer.read(tmp_path, LABELS, run_script or Simplified())["mine"]


def counts(words: WordList) -> dict[str, dict[str, int]]:
    return {string: dict(types) for string, types in words.counts.items()}


def test_a_string_a_line_in_the_run_s_script(tmp_path: Path) -> None:
    text = "\ufeff頭痛\r\n\r\n 糖尿病 \n頭痛\n"
    words = read(tmp_path, text)
    assert counts(words) == {"头痛": {"": 2}, "糖尿病": {"": 1}}
    assert not words.typed
    assert words.lexicon.entries["头痛"] == ("", 1.0, 1.0)
    assert 0 < words.lexicon.entries["糖尿病"].probability < 1
    assert counts(read(tmp_path, text, Traditional())) == {"頭痛": {"": 2}, "糖尿病": {"": 1}}
    simplified = read(tmp_path, "头痛\n", Traditional(), script="simplified")
    assert counts(simplified) == {"頭痛": {"": 1}}


def test_types_and_frequencies(tmp_path: Path) -> None:
    by_line = read(tmp_path, "頭痛\t症狀\n頭\tBODY\n頭痛\tDISE\n頭痛\tSYMP\n", second="type")
    assert counts(by_line) == {"头痛": {"SYMP": 2, "DISE": 1}, "头": {"BODY": 1}}
    assert by_line.typed
    assert by_line.lexicon.entries["头痛"].type == "SYMP"
    assert counts(read(tmp_path, "頭痛\n", type="症状")) == {"头痛": {"SYMP": 1}}
    frequent = read(tmp_path, "医院\t580436\n疟疾\t12\n", second="frequency")
    assert counts(frequent) == {"医院": {"": 580436}, "疟疾": {"": 12}}
    assert frequent.lexicon.entries["疟疾"].probability < 0.25
    assert set(read(tmp_path, "甲\n乙\n丙\n", lines=2).counts) == {"甲", "乙"}


@pytest.mark.parametrize(
    ("text", "keys", "said"),
    [
        ("甲\n", {"fil": "x"}, "gazetteer.lists.mine: "),
        ("甲\n", {"second": "types"}, "second=types: give one of type, frequency, or null"),
        ("甲\tDISE\n", {"second": "type", "type": "DISE"}, "leave gazetteer.lists.mine.type out"),
        ("甲\n", {"file": "other.txt"}, "file=other.txt: no such file"),
        ("甲\n", {"sha256": "0" * 64}, "its SHA-256 is "),
        ("甲\n乙\t3\n", {}, "words.txt, line 2: 2 columns"),
        ("甲\t3\n乙\n", {"second": "frequency"}, "words.txt, line 2: 1 columns"),
        ("甲\tviel\n", {"second": "frequency"}, "words.txt, line 1: the frequency 'viel'"),
        ("甲\n", {"type": "PERSON"}, "words.txt, line 1: type 'PERSON' is not in the label scheme"),
        ("\n\n", {}, "words.txt: holds no string"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, text: str, keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, text, **keys)
    assert said in str(refused.value)


def test_a_list_taken_from_sentences_can_be_had_without_them(tmp_path: Path) -> None:
    words = read(tmp_path, "頭痛\n頭痛\n胃\n", taken_from="train/")
    mine, other = (
        Sentence(f"{split}/1", "train", "FT", "頭痛胃", None, SPANS, "头痛胃")
        for split in ("train", "test")
    )
    assert set(words.without([mine]).counts) == {"头痛"}  # another sentence has it too
    assert set(words.without([mine, mine]).counts) == set()
    assert words.without([other]) is words
    assert read(tmp_path, "胃\n").without([mine]).counts


SPANS = (Span(0, 2, "SYMP"), Span(2, 3, "BODY"))


@pytest.mark.parametrize("option", ["thuocl", "qakg", "healthner_mentions"])
def test_the_lists_that_are_named_are_those_that_were_measured(
    option: str, corpora_dir: Path
) -> None:
    gazetteer = configure(compose(["method=lexicon", f"gazetteer={option}"]), {}).parts["gazetteer"]
    lists = gazetteer.read(corpora_dir, LABELS, Simplified())
    sizes = {name: len(each.counts) for name, each in lists.items()}
    assert sizes == {
        "thuocl": {"thuocl": 18749},
        "qakg": {
            "qakg_disease": 8807, "qakg_symptom": 5998, "qakg_drug": 3828, "qakg_check": 3353,
            "qakg_food": 4870,
        },
        "healthner_mentions": {"healthner_mentions": 8915},
    }[option]  # fmt: skip
    if option == "healthner_mentions":
        (words,) = lists.values()
        assert sum(types.total() for types in words.counts.values()) == 61155
    assert [name for name, each in lists.items() if each.typed] == [
        name for name in sizes if name.startswith("qakg") and name != "qakg_food"
    ]
