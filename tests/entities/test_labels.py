"""Label schemes: names in both scripts, aliases, and what is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from chmed_ner.entities.labels import Label, LabelScheme, Simplified, folded, label_scheme
from chmed_ner.errors import InputError
from chmed_ner.files import config_directory

OFFICIAL = ("BODY", "SYMP", "INST", "EXAM", "CHEM", "DISE", "DRUG", "SUPP", "TREAT", "TIME")


def shipped() -> Mapping[str, Any]:
    path = Path(config_directory()) / "labels" / "health10.yaml"
    content: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def health10() -> LabelScheme:
    content = shipped()
    return label_scheme(content["name"], content["types"])


def test_the_ten_types_in_the_official_order(health10: LabelScheme) -> None:
    assert health10.tags == OFFICIAL
    assert health10.names("traditional") == (
        *("人體", "症狀", "醫療器材", "檢查", "化學物質"),
        *("疾病", "藥品", "營養品", "治療", "時間"),
    )
    assert health10.names("simplified") == (
        *("人体", "症状", "医疗器材", "检查", "化学物质"),
        *("疾病", "药品", "营养品", "治疗", "时间"),
    )


def test_names_agree_between_the_scripts(health10: LabelScheme) -> None:
    simplified = Simplified()
    for label in health10.labels:
        assert simplified.convert(label.traditional) == label.simplified
        assert label.definition


def test_every_spelling_is_read(health10: LabelScheme) -> None:
    for tag, entry in shipped()["types"].items():
        for name in (tag, entry["traditional"], entry["simplified"], *entry["aliases"]):
            assert health10.tag_of(name) == tag
            assert health10.tag_of(f" {name.upper()}　") == tag
            assert len(name) <= health10.longest
        assert health10.name_of(tag, "simplified") == entry["simplified"]


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("ＤＩＳＥ", "DISE"),
        ("dise", "DISE"),
        ("疾　病", "DISE"),
        ("Body  Part", "BODY"),
        ("疾病史", None),
        ("", None),
        ("　", None),
    ],
)
def test_width_case_and_space_do_not_matter(
    name: str, tag: str | None, health10: LabelScheme
) -> None:
    assert health10.tag_of(name) == tag


def test_a_tag_outside_the_scheme_has_no_name(health10: LabelScheme) -> None:
    with pytest.raises(KeyError, match="NONE"):
        health10.name_of("NONE", "simplified")


def test_names_default_to_each_other_then_to_the_tag() -> None:
    scheme = label_scheme(
        "toy", {"A": {"traditional": "頭"}, "B": {"simplified": "头痛"}, "C": {}, "D": None}
    )
    assert scheme.names("traditional") == ("頭", "头痛", "C", "D")
    assert scheme.names("simplified") == ("頭", "头痛", "C", "D")
    assert scheme.longest == 2


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ({}, ["toy", "at least one"]),
        ({"A": {"name": "x"}}, ["type A", "'name'", "traditional"]),
        ({"A": {1: "x"}}, ["type A", "1", "traditional"]),
        ({"A": "頭"}, ["type A", "頭"]),
        ({"A": ["頭"]}, ["type A", "頭"]),
        ({"A": {"aliases": "頭"}}, ["type A", "aliases", "list"]),
        ({"A": {"aliases": 3}}, ["type A", "aliases", "list"]),
        ({"A": {"aliases": ["頭"]}, "B": {"traditional": "頭"}}, ["頭", "A and B"]),
        ({"A": {}, "B": {"aliases": ["Ａ"]}}, ["Ａ", "A and B"]),
        ({"A": {"aliases": [""]}}, ["type A", "''"]),
        ({"A": {"traditional": "　"}}, ["type A", "white space"]),
        ({"A": {"traditional": " 頭"}}, ["type A", "' 頭'", "white space"]),
        ({"A": {"simplified": "头\n痛"}}, ["type A", r"头\n痛", "one line"]),
        ({"A B": {}}, ["'A B'", "white space"]),
        ({"": {}}, ["''"]),
    ],
)
def test_a_broken_scheme_is_refused_by_name(types: Any, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        label_scheme("toy", types)
    for word in ("toy", *words):
        assert word in str(caught.value)


def test_two_types_cannot_share_a_tag() -> None:
    with pytest.raises(InputError, match="'A' cannot be a type"):
        LabelScheme("toy", [Label("A", "頭", "头"), Label("A", "腳", "脚")])


def test_folding_is_for_comparison() -> None:
    assert folded("Ｂｏｄｙ　Part") == "bodypart"
    assert folded("ﬁn") == "fin"
