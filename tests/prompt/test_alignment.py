"""Copies on sentences: what bridges a gap, what is too far apart, and long texts."""

import random

import pytest

from chmed_ner.entities.bio import chunks, tags_of
from chmed_ner.entities.types import Mention, Span
from chmed_ner.prompt.formats import alignment
from chmed_ner.prompt.formats.alignment import WINDOW, align, place


def placed(copy: str, sentence: str, *spans: tuple[int, int]) -> tuple[Span, ...]:
    """Where entities `[start, end)` of `copy` come to lie."""
    marked = tags_of([Span(start, end, "DISE") for start, end in spans], len(copy))
    return place(copy, marked, sentence).spans


def test_an_entity_covers_what_the_copy_leaves_out_inside_it() -> None:
    sentence = "他有慢性阻塞性肺病多年"
    assert placed("他有慢性阻肺病多年", sentence, (2, 7)) == (Span(2, 9, "DISE"),)
    assert placed("他有慢性病多年", sentence, (2, 5)) == (Span(2, 4, "DISE"), Span(8, 9, "DISE"))


def test_a_lost_beginning_takes_one_place_only() -> None:
    """`有高` are left out, and the tag of `血` says that its entity began before it."""
    tags = ["O", "O", "I-DISE", "I-DISE", "O"]
    assert place("患者血压！", tags, "患者有高血压！").spans == (Span(3, 6, "DISE"),)


def test_characters_far_apart_are_no_entity() -> None:
    found = place("患胀", ["B-DISE", "I-DISE"], "患者有高血压，胃痛，胃胀")
    assert (found.spans, found.lost) == ((), (Mention("患胀", "DISE"),))
    assert chunks(["B-DISE", "I-DISE"]) == (Span(0, 2, "DISE"),)


def test_windows_align_a_long_text_as_the_whole_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random text, every 97th character left out and every 89th doubled."""
    chance = random.Random(5)
    sentence = "".join(chr(0x4E00 + chance.randrange(2_000)) for _ in range(8 * WINDOW))
    copy = "".join(
        "" if at % 97 == 96 else character * (2 if at % 89 == 88 else 1)
        for at, character in enumerate(sentence)
    )
    places, edits = align(copy, sentence)
    assert edits <= len(sentence) // 97 + len(sentence) // 89 + 1
    monkeypatch.setattr(alignment, "WINDOW", len(sentence))
    whole, least = align(copy, sentence)
    assert edits == least
    assert {*places} == {*whole}
    differ = sum(one != other for one, other in zip(places, whole, strict=True))
    assert differ <= 4, "which of two equal neighbours is the doubled one may differ"
