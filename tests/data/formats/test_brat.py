"""brat's folders: what is an entity, what is not, line ends, marks, pieces."""

from pathlib import Path
from typing import Any

import pytest

from chmed_ner.data import Annotations, read_annotated
from chmed_ner.errors import InputError

TEXT = "患者头痛三天，\n胃痛😷。\n"
ANN = (
    "T1\tsym 2 4\t头痛\n"
    "T2\tbod 2 3\t头\n"
    "E1\tsym:T1 Loc:T2\n"
    "R1\tin Arg1:T1 Arg2:T2\n"
    "A1\tNegated T1\n"
    "#1\tAnnotatorNotes T1\t不 对\n"
    "*\tEquiv T1 T2\n"
    "N1\tReference T1 X:1\t头\n"
    "T12\tsym 8 10\t胃痛\n"
)


def write(folder: Path, name: str, text: str, marks: str | None) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_bytes(text.encode())
    if marks is not None:
        (folder / f"{name}.ann").write_bytes(marks.encode())


def found(read: Annotations) -> list[Any]:
    return [
        (text.id, [(text.text[s.start : s.end], s.type) for s in text.entities])
        for text in read.texts
    ]


ALL = [("头痛", "sym"), ("头", "bod"), ("胃痛", "sym")]


def test_a_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "b", TEXT, ANN)
    write(tmp_path, "a/c", TEXT, ANN.replace("\n", "\r\n"))
    write(tmp_path, "new", TEXT, None)
    write(tmp_path, "nothing", TEXT, "")
    (tmp_path / "annotation.conf").write_text("[entities]\nsym\n")
    read = read_annotated(tmp_path, "brat", {})
    assert found(read) == [("a/c", ALL), ("b", ALL), ("nothing", [])]
    assert read.texts[0].text == TEXT.removesuffix("\n")
    assert read.counts["unannotated"] == 1
    assert "1 .txt without .ann left out" in caplog.text
    assert found(read_annotated(tmp_path / "b.ann", "brat", {})) == [("b", ALL)]
    texts = read_annotated(tmp_path, "brat", {"gold": False}).texts
    assert [(text.id, text.entities) for text in texts] == [
        ("a/c", ()),
        ("b", ()),
        ("new", ()),
        ("nothing", ()),
    ]


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        (TEXT.replace("\n", "\r\n"), ANN),  # CRLF counted as one
        (TEXT.replace("\n", "\r\n"), ANN.replace("8 10", "9 11")),
        ("\ufeff" + TEXT, ANN),
        ("\ufeff" + TEXT, "T1\tsym 3 5\t头痛\nT2\tbod 3 4\t头\nT3\tsym 9 11\t胃痛\n"),
        ("😷" + TEXT, "T1\tsym 4 6\t头痛\nT2\tbod 4 5\t头\nT3\tsym 10 12\t胃痛\n"),  # UTF-16
    ],
)
def test_ways_to_count(text: str, marks: str, tmp_path: Path) -> None:
    write(tmp_path, "a", text, marks)
    read = read_annotated(tmp_path, "brat", {})
    assert found(read) == [("a", ALL)]
    assert not read.texts[0].text.startswith("\ufeff")


def test_pieces(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    marks = "T1\tsym 2 3;7 9\t头 胃痛\nT2\tx 5 7;8 10\t天， 胃痛\nT3\tsym 2 4\t头痛\n"
    write(tmp_path, "a", TEXT, marks)
    read = read_annotated(tmp_path, "brat", {})
    assert found(read) == [("a", [("头痛", "sym"), ("天，\n胃痛", "x")])]
    assert read.counts["discontinuous"] == 1
    assert "a.ann, line 1: '头 胃痛' is in 2 pieces, and a span is one; left out" in caplog.text


def test_what_is_wrong_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "a", TEXT, ANN + "T13\tsym 0 2\t病人\n")
    assert read_annotated(tmp_path, "brat", {}).counts["bad_offsets"] == 1
    assert "a.ann, line 10: entity sym 0 2 is '患者', not '病人'; left out" in caplog.text
    write(tmp_path, "a", TEXT, ANN + "T13 sym 0 2 患者\n")
    with pytest.raises(InputError, match=r"a.ann, line 10: 'T13 sym 0 2 患者' is no annotation"):
        read_annotated(tmp_path, "brat", {})
    (tmp_path / "a.txt").rename(tmp_path / "b.text")
    with pytest.raises(InputError, match=r"a.txt: no such file"):
        read_annotated(tmp_path, "brat", {})
    (tmp_path / "a.ann").unlink()
    with pytest.raises(InputError, match="holds no annotated text"):
        read_annotated(tmp_path, "brat", {})
    write(tmp_path, "a", TEXT, ANN)
    (tmp_path / "a.txt").write_bytes("头痛三天".encode("gb18030"))
    with pytest.raises(InputError, match=r"a.txt: .*iconv -f GB18030"):
        read_annotated(tmp_path, "brat", {})
    with pytest.raises(InputError, match="format brat does not take it"):
        read_annotated(tmp_path, "brat", {"end": "inclusive"})
