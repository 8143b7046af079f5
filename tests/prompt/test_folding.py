"""Pieces of a sentence found although they are written in other characters of the same meaning."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st

from chmed_ner.backbone import load_tokenizer
from chmed_ner.data import read_columns
from chmed_ner.prompt.formats.lists import FoldedText

CHARACTERS = st.sampled_from(
    "医疗血压病（）；％：，．／Ａｂ℃°CⅡIⅢ㎎mgｇ…...①1½⁄2²ﬁfiéeÉ\u0301\u3099がかガｶﾞµμΩΩ 　\u200b\n"
)
TEXTS = st.text(CHARACTERS, max_size=30)


def bare(text: str) -> str:
    """What two spellings of one thing have in common, by Unicode's own caseless matching."""
    shown = "".join(c for c in text if not c.isspace() and c not in "\u200b\ufeff")
    folded = unicodedata.normalize("NFKD", shown).casefold()
    return unicodedata.normalize("NFKD", folded)


def combines(character: str) -> bool:
    """Whether a character is a mark on the one before it."""
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) > 0


@pytest.mark.parametrize(
    ("text", "words", "piece"),
    [
        ("体温３８．５℃，头痛", "38.5°C", "３８．５℃"),
        ("患有Ⅱ型糖尿病", "II型糖尿病", "Ⅱ型糖尿病"),
        ("服用５㎎锭", "5mg锭", "５㎎锭"),
        ("恶心……还想吐", "恶心......还", "恶心……还"),
        ("（急性）胃炎；", "(急性)胃炎;", "（急性）胃炎；"),
        ("HbA1c与ＣＲＰ", "crp", "ＣＲＰ"),
        ("高血压", "高 血 压", "高血压"),
        ("高　血压", "高血压", "高　血压"),
        ("零\u200b宽字符", "零 宽", "零\u200b宽"),
        ("cafe\u0301 au", "café", "cafe\u0301"),
        ("q\u0301\u3099", "q\u3099\u0301", "q\u0301\u3099"),
        ("ビタミンＣ", "ﾋﾞﾀﾐﾝC", "ビタミンＣ"),
        ("vitamin  D3", "Vitamin D3", "vitamin  D3"),
        ("第①期", "1期", "①期"),
    ],
)
def test_a_piece_in_other_characters(text: str, words: str, piece: str) -> None:
    place = FoldedText(text).place(words)
    assert place is not None
    assert text[slice(*place)] == piece


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("38.5℃", "38.5°"),  # half of a character is no piece
        ("38.5℃", "C"),
        ("Ⅲ度烧伤", "I度烧伤"),
        ("Ⅲ度烧伤", "II"),
        ("café", "cafe"),
        ("cafe\u0301", "cafe"),
        ("an apple", "ana"),  # words of letters keep their spaces
        ("vitamin D", "vitaminD"),
        ("高血压", ""),
        ("高血压", " \u200b"),
        ("", "高"),
        ("高血压", "高血压" * 1000),
    ],
)
def test_what_is_no_piece(text: str, words: str) -> None:
    assert FoldedText(text).place(words) is None


@given(TEXTS, st.data())
@settings(max_examples=200, deadline=None)
def test_a_normalised_piece_is_found_where_it_stands_or_before(
    text: str, data: st.DataObject
) -> None:
    bounds = [at for at in range(len(text)) if not combines(text[at])] + [len(text)]
    start = data.draw(st.sampled_from(bounds))
    end = data.draw(st.sampled_from([at for at in bounds if at >= start]))
    piece = text[start:end]
    for form in ("NFKC", "NFKD"):
        words = unicodedata.normalize(form, piece).strip()
        place = FoldedText(text).place(words)
        if not bare(piece):
            assert place is None
            continue
        assert place is not None
        assert place[0] <= end
        assert bare(text[slice(*place)]) == bare(piece)


@given(TEXTS, TEXTS)
@example("㎎", "m")
@settings(max_examples=200, deadline=None)
def test_nothing_else_is_found(text: str, words: str) -> None:
    place = FoldedText(text).place(words)
    if place is not None:
        assert 0 <= place[0] < place[1] <= len(text)
        assert bare(text[slice(*place)]) == bare(words)


def test_what_baichuan_s_normaliser_makes_of_the_gold_mentions_is_found(
    corpora_dir: Path, fixtures_dir: Path
) -> None:
    tokenizer = load_tokenizer(fixtures_dir / "baichuan_7b_tiny" / "real_tokenizer")
    rewritten = 0
    for path in sorted(corpora_dir.glob("rocling2022/*_truth*.txt")):
        for sentence in read_columns(path, prefix="", split="test", genre="G", labels=None):
            page = FoldedText(sentence.text)
            for mention in {sentence.mention(span) for span in sentence.entities}:
                words = tokenizer.decode(tokenizer.encode(mention))
                place = page.place(words)
                assert place is not None, (sentence.text, mention, words)
                assert bare(sentence.text[slice(*place)]) == bare(mention)
                rewritten += words not in sentence.text
    assert rewritten > 0
