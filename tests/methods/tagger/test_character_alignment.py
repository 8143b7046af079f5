"""Characters and tokens of all sentences of all corpora, held against the tokens themselves."""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from chmed_ner.data.healthner import read_healthner
from chmed_ner.errors import InputError
from chmed_ner.methods.tagger.reading import Aligner, Alignment, aligned, special_tokens

ODD = [
    "", " ", "  ", "\u200b", "\ufffd", "\x00", "頭 痛", " 頭痛 ", "𠮷野家", "½ 杯", "ＡＢＣ㎎",
    "e\u0301x",
    "[SEP]痛[PAD]", "<s>痛</s>", "<eos><pad>", "COVID-19", "a\u3000b", "🧑‍⚕️", "ﷺ", "\n\n痛\t",
]  # fmt: skip
"""Texts with what tokenizers drop, unite, take apart or take for their own."""

Surface = Callable[[Any, str], str]


@pytest.fixture(scope="session")
def corpus_texts(corpora_dir: Path) -> list[str]:
    """Every distinct sentence of every corpus at hand."""
    texts: set[str] = set()
    for path in sorted(corpora_dir.glob("rocling202?/*.txt")):
        blocks = re.split(r"\n ?\n", path.read_text(encoding="utf-8"))  # a character a line
        texts |= {"".join(line[:1] for line in block.splitlines()) for block in blocks}
    for path in sorted(corpora_dir.glob("healthner/*.json")):
        found = read_healthner(path, prefix="", split="test", labels=None, genres=("FT", "SM"))
        texts |= {sentence.text for sentence in found}
    assert len(texts) > 8000
    return sorted(texts - {""})


def check_shape(text: str, found: Alignment) -> None:
    """Every character has one token, whose span it lies in; no token is lost to a span."""
    assert len(found.tokens) == len(text)
    assert len(found.ids) == len(found.spans)
    assert list(found.tokens) == sorted(found.tokens)
    covering = {at: t for t, span in enumerate(found.spans) for at in range(*span)}
    assert list(found.tokens) == [covering[at] for at in range(len(text))]
    for at, token in enumerate(found.tokens):
        before, behind = found.place(at)
        assert found.spans[token] == (at - before, at + 1 + behind)


def words(text: str, found: Alignment) -> Iterator[tuple[list[int], str]]:
    """Neighbouring tokens with one span, and its text; the spans are consecutive and cover all."""
    reached, at = 0, 0
    while at < len(found.ids):
        start, end = found.spans[at]
        stop = at + 1
        while stop < len(found.ids) and found.spans[stop] == (start, end):
            stop += 1
        if start < end:
            assert start == reached, (text, found)
            reached = end
            yield list(found.ids[at:stop]), text[start:end]
        at = stop
    assert reached == len(text)


def check_wordpiece(tokenizer: Any, text: str, found: Alignment) -> None:
    """The pieces of a span are the normalised characters of the span, or an unknown word."""
    normalise = tokenizer.backend_tokenizer.normalizer.normalize_str
    for ids, part in words(text, found):
        pieces = tokenizer.convert_ids_to_tokens(ids)
        if pieces == ["[UNK]"]:
            continue
        surface = "".join(piece.removeprefix("##") for piece in pieces)
        assert surface == "".join(normalise(part).split()), (text, found)


def check_unigram(tokenizer: Any, text: str, found: Alignment) -> None:
    """The pieces of a span are its characters, or their bytes."""
    for ids, part in words(text, found):
        pieces = [piece for piece in tokenizer.convert_ids_to_tokens(ids) if piece != "▁"]
        if pieces and all(piece.startswith("<0x") for piece in pieces):
            assert bytes(int(piece[3:5], 16) for piece in pieces).decode() == part
        else:
            assert "".join(pieces).replace("▁", " ").strip(" ") == part.strip(" "), (text, found)


def check_bytes(tokenizer: Any, text: str, found: Alignment) -> None:
    """The token of a character is the one that holds its last byte."""
    alphabet = {shown: byte for byte, shown in zip(_byte_order(), _shown_bytes(), strict=True)}
    owner = [
        token
        for token, piece in enumerate(tokenizer.convert_ids_to_tokens(list(found.ids)))
        for _ in piece
    ]
    read = "".join(tokenizer.convert_ids_to_tokens(list(found.ids)))
    assert bytes(alphabet[shown] for shown in read) == text.encode()
    ends, size = [], 0
    for character in text:
        size += len(character.encode())
        ends.append(size - 1)
    assert list(found.tokens) == [owner[end] for end in ends], (text, found)


def _byte_order() -> list[int]:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [*printable, *[byte for byte in range(256) if byte not in printable]]


def _shown_bytes() -> list[str]:
    """GPT-2's characters for bytes: printable ones stand for themselves, the rest from U+0100."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [*map(chr, printable), *(chr(256 + at) for at in range(256 - len(printable)))]


KINDS = {
    "wordpiece": check_wordpiece, "unigram": check_unigram, "tiny_tokenizer": check_bytes,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_exact_on_every_sentence_of_every_corpus(
    kind: str, corpus_texts: list[str], request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(kind)
    align = Aligner(tokenizer)
    several = shared = 0
    for text in corpus_texts:
        found = align(text)
        check_shape(text, found)
        KINDS[kind](tokenizer, text, found)
        several += len(found.ids) > len(set(found.tokens))
        shared += len(set(found.tokens)) < len(found.tokens)
    assert shared > 500  # tokens of several characters
    assert several > 500 or kind == "wordpiece"  # characters of several tokens


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ODD)
def test_nothing_odd_is_lost(kind: str, text: str, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(kind)
    found = Aligner(tokenizer)(text)
    check_shape(text, found)
    assert bool(found.ids) == bool(text)
    assert not set(found.ids) & (set(tokenizer.all_special_ids) - {tokenizer.unk_token_id})


def test_a_tokenizer_without_offsets_is_refused(slow_sentencepiece: Any) -> None:
    with pytest.raises(
        InputError, match=r"method=tagger: .*choose a backbone with a fast tokenizer"
    ):
        Aligner(slow_sentencepiece)


@pytest.mark.parametrize(
    ("kind", "before", "behind"),
    [("wordpiece", ["[CLS]"], ["[SEP]"]), ("unigram", ["<s>"], []), ("tiny_tokenizer", [], [])],
)
def test_special_tokens(
    kind: str, before: list[str], behind: list[str], request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(kind)
    found = special_tokens(tokenizer)
    assert [tokenizer.convert_ids_to_tokens(list(ids)) for ids in found] == [before, behind]


@given(st.data())
def test_any_spans_give_every_character_a_token(data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 12))
    cuts = sorted(data.draw(st.sets(st.integers(0, length), max_size=8)) | {0, length})
    whole = list(itertools.pairwise(cuts))
    spans = [span for span in whole if data.draw(st.booleans())] or whole[:1]
    found = aligned(range(len(spans)), spans, length)
    check_shape("x" * length, found)
    for token, (start, end) in enumerate(spans):
        assert set(range(start, end)) <= {at for at, t in enumerate(found.tokens) if t == token}


def test_what_has_no_token_goes_to_the_next_one() -> None:
    found = aligned([7, 8], [(1, 2), (3, 4)], 6)
    assert found.spans == ((0, 2), (2, 6))
    assert found.tokens == (0, 0, 1, 1, 1, 1)
    assert json.dumps(found.place(4)) == "[2, 1]"
