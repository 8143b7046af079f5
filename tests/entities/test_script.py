"""The script step never moves a character."""

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st

from chmed_ner.data.columns import read_columns
from chmed_ner.data.healthner import read_healthner
from chmed_ner.entities.labels import Script, Simplified, Traditional, convert_leniently, in_script
from chmed_ner.entities.types import Sentence
from chmed_ner.errors import InputError

SIMPLIFIED = Simplified()
ODD = st.sampled_from(
    [
        *(
            "👩‍⚕️",
            "👨‍👩‍👧‍👦",
            "🏳️‍🌈",
            "e\u0301",
            "か\u3099",
            "𠀀",
            "𫝆",
            "㐀",
            "乾",
            "乾隆",
            "瞭解",
            "頭髮",
        ),
        *(
            "\ud800",
            "\udfff",
            "\ud83d",
            "\u200d",
            "\ufeff",
            "\ufffd",
            "\0",
            " ",
            "\u3000",
            "\u2028",
        ),
        *("\r\n", "\t", "\x85", "\x1b", "İ", "ß", "ﬁ", "\U0010ffff", "\ufe0f", "{sentence}", '"'),
    ]
)
ANY_TEXT = st.lists(ODD | st.text(st.characters(exclude_categories=())), max_size=12).map("".join)


def corpora(folder: Path) -> list[Sentence]:
    """Every sentence that the corpora hold, with and without gold."""
    found: list[Sentence] = []
    for path in sorted(folder.glob("rocling202?/*_truth*.txt")):
        options = {"prefix": f"{path.stem}/", "split": "test", "genre": "G", "labels": None}
        found += read_columns(path, **options)
    for path in sorted(folder.glob("rocling202?/*_test*.txt")):
        blocks = re.split(r"\r?\n ?\r?\n", path.read_bytes().decode().rstrip())
        texts = [re.sub(r"\r?\n", "", block) for block in blocks]
        found += [Sentence(f"{path.stem}/{n}", "test", "G", text) for n, text in enumerate(texts)]
    for path in sorted(folder.glob("healthner/*.json")):
        options = {"prefix": f"{path.stem}/", "split": "test", "genres": ("FT", "SM")}
        found += read_healthner(path, **options, labels=None)
    return found


def test_every_sentence_of_the_corpora_keeps_its_length(corpora_dir: Path) -> None:
    sentences = corpora(corpora_dir)
    assert len(sentences) > 19_000
    converted = in_script(SIMPLIFIED, tuple(sentences))
    changed = 0
    for before, after in zip(sentences, converted, strict=True):
        assert (after.id, after.text, after.tags) == (before.id, before.text, before.tags)
        assert len(after.model_text) == len(before.text)
        changed += after.model_text != before.text
    assert changed > 0.95 * len(sentences)
    text = "".join(sentence.model_text for sentence in converted)
    for traditional in "體醫療檢藥營養時間學質無為與這個會來對發關節腦腸":
        assert traditional not in text


def test_the_phrases_of_opencc_are_used() -> None:
    assert (
        SIMPLIFIED.convert("頭髮發炎，乾燥，乾隆，瞭解與瞭望") == "头发发炎，干燥，乾隆，了解与瞭望"
    )
    assert SIMPLIFIED.convert("") == ""


def test_traditional_leaves_the_text_alone() -> None:
    sentence = Sentence("1", "test", "FT", "頭髮\ud800")
    assert in_script(Traditional(), (sentence,))[0].model_text == "頭髮\ud800"


@pytest.mark.parametrize("plane", [0, 1, 2, 3])
def test_han_characters_are_one_to_one(plane: int) -> None:
    han = [
        chr(code)
        for code in range(plane << 16, (plane + 1) << 16)
        if unicodedata.name(chr(code), "").startswith("CJK")
    ]
    assert len(han) > 100 or plane == 1
    for character in han:
        assert len(SIMPLIFIED.convert(character)) == 1
    assert len(SIMPLIFIED.convert("".join(han))) == len(han)


@settings(max_examples=400, deadline=None)
@given(ANY_TEXT)
@example("頭痛\ud800頭痛")
def test_any_text_keeps_its_length(text: str) -> None:
    surrogates = sum(0xD800 <= ord(character) < 0xE000 for character in text)
    for script in (SIMPLIFIED, Traditional()):
        converted, odd = convert_leniently(script, text)
        assert len(converted) == len(text)
        assert odd == surrogates
        converted.encode("utf-8")
    if not surrogates:
        assert convert_leniently(SIMPLIFIED, text)[0] == SIMPLIFIED.convert(text)


def test_only_surrogates_are_replaced() -> None:
    assert convert_leniently(SIMPLIFIED, "頭\ud800痛\udc00") == ("头\ufffd痛\ufffd", 2)
    assert convert_leniently(Traditional(), "頭\ud800") == ("頭\ufffd", 1)


class Expanding:
    """A script in which one character has no form of equal length."""

    name = "expanding"

    def convert(self, text: str) -> str:
        if "ß" in text:
            raise InputError("ß has two")
        return text.upper()


def test_what_a_script_cannot_say_stays() -> None:
    script: Script = Expanding()
    assert convert_leniently(script, "aßb") == ("AßB", 0)
    assert convert_leniently(script, "aß\ud800") == ("Aß\ufffd", 1)


def test_a_lone_surrogate_is_refused_by_name() -> None:
    with pytest.raises(InputError) as caught:
        SIMPLIFIED.convert("頭痛" * 40 + "\ud83d" + "頭")
    for word in ("character 81", r"\ud83d", "repair"):
        assert word in str(caught.value)
    str(caught.value).encode("utf-8")


def test_the_sentence_that_resists_is_named() -> None:
    sentences = (Sentence("a/1", "test", "FT", "頭"), Sentence("a/2", "test", "FT", "痛\udfff"))
    with pytest.raises(InputError, match=r"sentence a/2: .*udfff"):
        in_script(SIMPLIFIED, sentences)
