"""Long texts and long files: cut into sentences, read in blocks, offsets put back."""

import io
import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings, strategies as st

from chmed_ner.data.documents import (
    AT_ONCE,
    MAX_CHARACTERS,
    Document,
    annotate,
    read_documents,
    sentences_of,
)
from chmed_ner.entities.types import Prediction, Span
from chmed_ner.errors import InputError

TEXTS = st.text(st.sampled_from("頭痛。，；！？」\n\r \u2028a?😀\ud800"), max_size=60)


class Finder:
    """A model that finds 頭痛, and counts the sentences that it was given."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Each occurrence, and one problem a sentence."""
        self.calls.append(list(texts))
        return [
            Prediction(
                str(number),
                "predict",
                "",
                text,
                tuple(Span(m.start(), m.end(), "SYMP") for m in re.finditer("頭痛", text)),
                {"seen": 1},
            )
            for number, text in enumerate(texts)
        ]


def cut(text: str, longest: int = MAX_CHARACTERS) -> list[str]:
    """The sentences of a text."""
    return [text[start:end] for start, end in sentences_of(text, longest)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("頭痛。發燒！", ["頭痛。", "發燒！"]),
        ("他說「頭痛。」就走了", ["他說「頭痛。」", "就走了"]),
        ("真的？！沒事", ["真的？！", "沒事"]),
        ("really? 對", ["really?", " 對"]),
        ("頭痛。咳嗽；發燒，", ["頭痛。", "咳嗽；發燒，"]),
    ],
)
def test_a_long_line_is_cut_after_its_sentences(text: str, sentences: list[str]) -> None:
    assert cut(text, len(text) - 1) == sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("頭痛。發燒！", ["頭痛。發燒！"]),
        ("咳嗽；發燒，頭痛", ["咳嗽；發燒，頭痛"]),
        ("一\r\n二\n\n三", ["一\r\n", "二\n\n", "三"]),
        ("\n一", ["\n", "一"]),
        ("一\u2028二\x0b三", ["一\u2028二\x0b三"]),
        ("", []),
    ],
)
def test_a_line_as_long_as_those_of_the_corpora_is_read_whole(
    text: str, sentences: list[str]
) -> None:
    assert cut(text) == sentences


@pytest.mark.parametrize(
    ("text", "longest", "sentences"),
    [
        ("一二三，四五六，七八", 8, ["一二三，四五六，", "七八"]),
        ("一二三四；五，六七八", 8, ["一二三四；", "五，六七八"]),
        ("一；二三四五，六七八", 8, ["一；二三四五，", "六七八"]),
        ("一，二三四五六七八九", 8, ["一，", "二三四五六七八九"]),
        ("one two three", 8, ["one two ", "three"]),
        ("一二三四五", 2, ["一二", "三四", "五"]),
        ("一二。三四五", 3, ["一二。", "三四五"]),
    ],
)
def test_a_sentence_that_is_too_long_is_cut_softly(
    text: str, longest: int, sentences: list[str]
) -> None:
    assert cut(text, longest) == sentences


@given(TEXTS, st.integers(1, 20))
def test_sentences_cover_the_text_and_keep_to_the_length(text: str, longest: int) -> None:
    found = cut(text, longest)
    assert "".join(found) == text
    assert all(0 < len(each) <= longest for each in found)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(TEXTS, max_size=4), max_size=4))
def test_offsets_are_those_of_the_document(blocks: list[list[str]]) -> None:
    documents = [[Document(text) for text in block] for block in blocks]
    found = list(annotate(Finder(), documents))
    texts = [text for block in blocks for text in block]
    assert [each.prediction.text for each in found] == texts
    assert [each.prediction.id for each in found] == [str(n) for n in range(len(texts))]
    for each, text in zip(found, texts, strict=True):
        spans = [(span.start, span.end) for span in each.prediction.entities]
        assert spans == [match.span() for match in re.finditer("頭痛", text)]
        asked = [part for part in cut(text) if part.strip()]
        assert each.prediction.problems == ({"seen": len(asked)} if asked else {})


def test_a_large_block_is_read_in_parts_and_handed_on_between_them() -> None:
    model = Finder()
    documents = [Document("頭痛。" * 300), Document(""), Document("頭痛。" * 300), Document("頭痛")]
    stream = annotate(model, [documents])
    first = [next(stream), next(stream)]
    assert len(model.calls) == 1, "the first two documents are whole after the first part"
    assert [len(each.prediction.entities) for each in first] == [300, 0]
    assert [len(each.prediction.entities) for each in stream] == [300, 1]
    assert [len(call) for call in model.calls] == [AT_ONCE, 601 - AT_ONCE]
    assert model.calls[0][0] == "頭痛。"


def test_one_block_is_held_at_a_time() -> None:
    given_out: list[int] = []

    def blocks() -> Iterator[list[Document]]:
        for number in range(5):
            given_out.append(number)
            yield [Document("頭痛", "\n")]

    stream = annotate(Finder(), blocks())
    for number in range(5):
        assert next(stream).prediction.id == str(number)
        assert given_out == list(range(number + 1))


LINES = st.lists(st.tuples(st.text(max_size=8), st.sampled_from(["\n", "\r\n"])), max_size=8)


@given(LINES, st.text(max_size=3), st.integers(1, 40))
def test_a_stream_is_its_lines_whatever_the_blocks(
    lines: list[tuple[str, str]], last: str, block: int
) -> None:
    content = "".join(text + end for text, end in lines) + last
    data = content.encode("utf-8", "surrogatepass")
    found = [each for some in read_documents(io.BytesIO(data), "-", block) for each in some]
    assert "".join(each.text + each.end for each in found) == content
    parts = content.split("\n")
    expected = [part.removesuffix("\r") for part in parts[:-1]] + parts[-1:] * bool(parts[-1])
    assert [each.text for each in found] == expected


def test_what_is_not_utf8_is_named_after_the_lines_before_it() -> None:
    data = "一\n二\n".encode() + "頭痛".encode("big5") + "\n三\n".encode()
    stream = read_documents(io.BytesIO(data), "notes.txt")
    assert [each.text for each in next(stream)] == ["一", "二"]
    with pytest.raises(InputError, match=r"notes\.txt, line 3: not UTF-8"):
        next(stream)


@pytest.mark.parametrize("block", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("content", "texts"),
    [("\ufeff頭痛\n\ufeff好", ["頭痛", "\ufeff好"]), ("\ufeff", []), ("\ufeff\n", [""])],
)
def test_a_byte_order_mark_is_left_out_and_named(
    content: str, texts: list[str], block: int, caplog: pytest.LogCaptureFixture
) -> None:
    stream = read_documents(io.BytesIO(content.encode()), "notes.txt", block)
    assert [each.text for some in stream for each in some] == texts
    (said,) = caplog.messages
    assert "notes.txt: begins with a byte order mark" in said


NOTE = {
    "traditional": "醫師說我有輕微的脂肪肝，需要吃藥嗎？\n",
    "simplified": "医师说我有轻微的脂肪肝。\n",
}


@pytest.mark.parametrize(
    ("script", "codec", "cure"),
    [
        ("traditional", "big5", "BIG5"),
        ("simplified", "gbk", "GB18030"),
        ("simplified", "gb18030", "GB18030"),
        ("traditional", "utf-16", "UTF-16"),
        ("simplified", "utf-16-be", "UTF-16BE"),
        ("traditional", "utf-16-le", "UTF-16LE"),
    ],
)
def test_another_encoding_is_refused_with_its_name_and_cure(
    script: str, codec: str, cure: str
) -> None:
    stream = io.BytesIO((NOTE[script] * 2).encode(codec))
    with pytest.raises(InputError, match=rf"notes\.txt, line 1: .*`iconv -f {cure} -t UTF-8`"):
        list(read_documents(stream, "notes.txt"))
