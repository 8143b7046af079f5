"""The column reader and writer: real files, arbitrary characters, every way a file can be wrong."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from chmed_ner.data.columns import read_columns
from chmed_ner.data.predictions import write_columns
from chmed_ner.data.repairs import repair_counts, repaired
from chmed_ner.entities.bio import chunks
from chmed_ner.entities.labels import label_scheme
from chmed_ner.entities.types import Sentence, Span
from chmed_ner.errors import InputError

TWO = label_scheme("two", {"DISE": {"traditional": "疾病"}, "BODY": {"traditional": "人體"}})

# Whatever the format can hold: anything but LF, NUL and lone surrogates.
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\n\0") | st.sampled_from(
    "\"# \t\r,'\ufeff\u3000\u2028\x85\x0b\x1c\u200d😀𠮷"
)


def read(content: bytes, folder: Path, **options: object) -> tuple[Sentence, ...]:
    path = folder / "corpus.txt"
    path.write_bytes(content)
    settings = {"prefix": "t/", "split": "test", "genre": "FT", "labels": TWO, **options}
    return read_columns(path, **settings)  # type: ignore[arg-type]


@st.composite
def tagged_texts(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    text = draw(st.text(CHARACTERS, min_size=1, max_size=12))
    tag = st.sampled_from(["O", "B-DISE", "I-DISE", "B-BODY", "I-BODY", "O-BODY", "i-DISE"])
    return text, tuple(draw(st.lists(tag, min_size=len(text), max_size=len(text))))


@given(rows=st.lists(tagged_texts(), min_size=1, max_size=6))
def test_what_is_written_is_read(
    rows: list[tuple[str, tuple[str, ...]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("columns") / "written.txt"
    write_columns(path, rows)
    sentences = read_columns(path, prefix="p/", split="s", genre="g", labels=TWO)
    assert [(sentence.text, sentence.tags) for sentence in sentences] == rows
    assert [sentence.id for sentence in sentences] == [f"p/{n:05d}" for n in range(len(rows))]


def test_written_format_is_the_official_one(tmp_path: Path) -> None:
    path = tmp_path / "submission" / "FT.txt"
    write_columns(path, [("肺炎", ("B-DISE", "I-DISE")), (" ", ("O",))])
    assert path.read_bytes() == "肺 B-DISE\n炎 I-DISE\n\n  O\n\n".encode()
    assert [file.name for file in path.parent.iterdir()] == ["FT.txt"]


@pytest.mark.parametrize(
    "rows",
    [
        [("好", ("O",)), ("", ())],
        [("a\nb", ("O", "O", "O"))],
        [("\0", ("O",))],
        [("\ud800", ("O",))],
    ],
)
def test_text_the_format_cannot_hold_leaves_the_old_file(
    rows: list[tuple[str, tuple[str, ...]]], tmp_path: Path
) -> None:
    path = tmp_path / "FT.txt"
    path.write_text("old")
    with pytest.raises(InputError, match=r"FT.txt: sentence \d"):
        write_columns(path, rows)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["FT.txt"]


@pytest.mark.parametrize("rows", [[("好的", ("O",))], [("好", ("B",))], [("好", ("B-X Y",))]])
def test_tags_that_do_not_fit_are_a_mistake_of_ours(
    rows: list[tuple[str, tuple[str, ...]]], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"argument|tag"):
        write_columns(tmp_path / "FT.txt", rows)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("separator", [" ", "\t"])
def test_dialects(end: str, blank: str, separator: str, tmp_path: Path) -> None:
    lines = ["肺_B-DISE", "炎_I-DISE", blank, blank, " _O", '"_O', "#_B-BODY", blank]
    content = end.join(lines).replace("_", separator).encode()
    first, second = read(content, tmp_path)
    assert first.text == "肺炎"
    assert first.entities == (Span(0, 2, "DISE"),)
    assert second.text == ' "#'
    assert second.tags == ("O", "O", "B-BODY")
    assert (second.id, second.split, second.genre) == ("t/00001", "test", "FT")


def test_a_last_line_without_line_end_is_read_when_it_is_whole(tmp_path: Path) -> None:
    (sentence,) = read("肺 B-DISE\n炎 I-DISE".encode(), tmp_path)
    assert sentence.entities == (Span(0, 2, "DISE"),)


def test_odd_official_tags_are_kept_and_chunked(tmp_path: Path) -> None:
    (sentence,) = read("一 I-DISE\n二 i-DISE\n三 O-DISE\n四 i-BODY\n".encode(), tmp_path)
    assert sentence.tags == ("I-DISE", "i-DISE", "O-DISE", "i-BODY")
    assert sentence.entities == (Span(0, 2, "DISE"), Span(3, 4, "BODY"))


def test_without_a_scheme_any_type_is_read(tmp_path: Path) -> None:
    (sentence,) = read("一 B-物\n".encode(), tmp_path, labels=None)
    assert sentence.entities == (Span(0, 1, "物"),)


FIRST = "肺 B-DISE\n".encode()


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (FIRST + "炎\n".encode(), 2, "no tag in '炎'"),
        (FIRST + "炎 \n".encode(), 2, "no tag in '炎 '"),
        (FIRST + b"  \n", 2, "no tag in '  '"),
        (FIRST + "肺炎\n".encode(), 2, "no tag in '肺炎'"),
        (FIRST + "肺炎 O\n".encode(), 2, "more than one character before the separator ('肺炎')"),
        (FIRST + b" O\n", 2, "no tag in ' O'"),
        (FIRST + "炎  O\n".encode(), 2, "invalid tag ' O'"),
        (FIRST + "炎 O \n".encode(), 2, "invalid tag 'O '"),
        (FIRST + "炎 DISE\n".encode(), 2, "invalid tag 'DISE'"),
        (FIRST + "炎 E-DISE\n".encode(), 2, "invalid tag 'E-DISE'"),
        (FIRST + "炎 B-\n".encode(), 2, "invalid tag 'B-'"),
        (FIRST + "炎 B-XYZ\n".encode(), 2, "type 'XYZ' is not in the label scheme 'two'"),
        (FIRST + "炎 O-XYZ\n".encode(), 2, "type 'XYZ' is not in the label scheme 'two'"),
        (FIRST + b"\xed\xa0\x80 O\n", 2, "not UTF-8 at byte 1 (ed a0 80 20)"),
        (FIRST + b"a\xff O\n", 2, "not UTF-8 at byte 2"),
        (FIRST + b"a O\n\0 O\n", 3, "NUL byte"),
        ("肺 O\n".encode("utf-16"), 1, "UTF-16"),
        (FIRST + b"a" * (1 << 20) + b" O\n", 2, "longer than 1 MiB"),
        ("肺 O\n炎 O\n".encode("gb18030"), 1, "`iconv -f GB18030 -t UTF-8`"),
        (FIRST + "頭 O\n痛 O\n".encode("big5"), 2, "`iconv -f BIG5 -t UTF-8`"),
    ],
)
def test_a_bad_line_is_named(content: bytes, line: int, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(content, tmp_path)
    assert f"corpus.txt, line {line}: " in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"), [("\ufeff肺 O\n", "肺"), ("\ufeff  O\n", " "), ("\ufeff\n肺 O\n", "肺")]
)
def test_a_byte_order_mark_is_left_out_and_named(
    content: str, text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (sentence,) = read(content.encode(), tmp_path)
    assert sentence.text == text
    (said,) = caplog.messages
    assert f"{tmp_path / 'corpus.txt'}: begins with a byte order mark" in said


@pytest.mark.parametrize("content", [b"", b"\n\n", b" \r\n"])
def test_a_file_without_sentences(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"corpus.txt: holds no sentence"):
        read(content, tmp_path)


@pytest.mark.parametrize(
    "content", ["a B-DISE\r\nb I-DIS", "a B-DISE\r\nb I-", "a B-DISE\r\nb", "a B-DISE\r\nb O\r"]
)
def test_a_file_cut_in_mid_line(content: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2: .*if it was cut short"):
        read(content.encode(), tmp_path)


def test_a_tag_cut_short_is_noticed_without_a_scheme(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2: tag 'B-DIS' is only the beginning"):
        read(b"a B-DISE\nb B-DIS", tmp_path, labels=None)


def test_a_file_cut_within_a_character(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2: not UTF-8.*if it was cut short"):
        read(FIRST + "炎".encode()[:2], tmp_path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.txt", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            read_columns(path, prefix="", split="test", genre="FT", labels=None)


@pytest.mark.parametrize(
    ("file", "sentences", "characters", "b_tags", "official", "changed"),
    [
        ("rocling2022/ROCLING22_CHNER_truth.txt", 3205, 118_116, 13_372, 13_378, {"O-SYMP": 1}),
        ("rocling2023/MultiNER-Health_truth_FT.txt", 2035, 149_276, 10_845, 10_849, {}),
        ("rocling2023/MultiNER-Health_truth_WA.txt", 2381, 92_498, 9_761, 9_761, {}),
    ],
)
def test_the_official_files(
    file: str,
    sentences: int,
    characters: int,
    b_tags: int,
    official: int,
    changed: dict[str, int],
    corpora_dir: Path,
    tmp_path: Path,
) -> None:
    found = read_columns(corpora_dir / file, prefix="x/", split="test", genre="G", labels=None)
    assert len(found) == sentences
    assert sum(len(sentence.text) for sentence in found) == characters
    tags = [tag for sentence in found for tag in sentence.tags or ()]
    assert sum(tag.startswith("B-") for tag in tags) == b_tags
    assert sum(len(sentence.entities) for sentence in found) == official
    assert all(tags.count(tag) == count for tag, count in changed.items())
    write_columns(tmp_path / "again.txt", ((s.text, s.tags or ()) for s in found))
    again = read_columns(tmp_path / "again.txt", prefix="x/", split="test", genre="G", labels=None)
    assert again == found


def test_the_official_test_file_holds_the_characters_of_the_gold_file(corpora_dir: Path) -> None:
    folder = corpora_dir / "rocling2022"
    options = {"prefix": "x/", "split": "test", "genre": "WA", "labels": None}
    gold = read_columns(folder / "ROCLING22_CHNER_truth.txt", **options)
    plain = (folder / "ROCLING22_CHNER_test.txt").read_bytes().decode().split("\r\n \r\n")
    assert ["".join(block.split("\r\n")) for block in plain] == [each.text for each in gold]


def test_repairing_the_official_gold_keeps_its_chunks(corpora_dir: Path) -> None:
    path = corpora_dir / "rocling2022" / "ROCLING22_CHNER_truth.txt"
    found = read_columns(path, prefix="x/", split="test", genre="WA", labels=None)
    assert repair_counts(found)["repaired_tags"] == 8
    for sentence in map(repaired, found):
        assert chunks(sentence.tags or ()) == sentence.entities
        assert repaired(sentence) is sentence
