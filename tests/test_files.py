"""Files of a run: whole or not there, readable again, errors that name the file."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from chmed_ner.errors import InputError, first_line
from chmed_ner.files import (
    json_line,
    keep,
    markdown_table,
    read_json,
    replacing,
    sha256_of,
    text_sha256,
    write_json,
    write_json_lines,
)

# JSON has no way of writing a high and a low surrogate side by side that are not one character.
PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
TEXT = st.text(st.characters(exclude_categories=())).filter(lambda text: not PAIR.search(text))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def test_a_file_takes_its_place_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    with replacing(path) as file:
        file.write("一\n二\n")
        assert not path.exists()
    assert path.read_bytes() == "一\n二\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644
    with replacing(path) as file:
        file.write("三")
        assert path.read_text() == "一\n二\n"
    assert path.read_text() == "三"
    assert list(path.parent.iterdir()) == [path]


def test_what_is_written_is_as_readable_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "file.json", {})
        (tmp_path / "own").mkdir(0o700)
        (tmp_path / "own" / "file").touch(0o600)
        keep(tmp_path / "own", tmp_path / "folder")
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.rglob("*")}
    assert modes == {"file.json": 0o640, "folder": 0o750, "file": 0o640}


@pytest.mark.parametrize("error", [ValueError("half"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")

    def fail() -> None:
        with replacing(path) as file:
            file.write("aft")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_json_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


@given(value=VALUES)
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value


@given(st.dictionaries(TEXT, VALUES, max_size=3))
def test_a_record_is_one_line(record: dict[str, Any]) -> None:
    line = json_line(record)
    assert line.encode("utf-8").count(b"\n") == 1
    assert line.endswith("\n")
    assert json.loads(line) == record


def test_text_stays_readable_and_surrogates_survive(tmp_path: Path) -> None:
    assert json_line({"text": "頭痛"}) == '{"text": "頭痛"}\n'
    assert json_line({"text": "頭\ud800"}) == '{"text": "\\u982d\\ud800"}\n'
    write_json(tmp_path / "value.json", {"name": "頭\udcff"})
    assert read_json(tmp_path / "value.json") == {"name": "頭\udcff"}
    path = tmp_path / "records.jsonl"
    records = [{"text": "頭\u2028痛"}, {"text": "\ud800"}, {}]
    write_json_lines(path, records)
    lines = path.read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == records
    assert lines[-1] == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1,\n "b": }', ["not valid JSON", "line 2"]),
        (b"", ["not valid JSON", "line 1"]),
        (b'{"a": "\xff"}', ["not valid JSON", "0xff"]),
        (b"[" * 100_000, ["not valid JSON"]),
        (b"1" * 5_000, ["not valid JSON", "digits"]),
    ],
)
def test_broken_json_is_refused_by_name(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path)


def test_checksums(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes("頭痛".encode())
    expected = hashlib.sha256("頭痛".encode()).hexdigest()
    assert sha256_of(path) == text_sha256("頭痛") == expected
    assert text_sha256("\ud800") == hashlib.sha256(b"\xed\xa0\x80").hexdigest()


def test_a_markdown_table_has_a_rule_below_its_header() -> None:
    text = markdown_table(("type", "number"), [("DISE", "1")], "lr")
    assert text == "| type | number |\n| --- | ---: |\n| DISE | 1 |\n"


def test_the_first_line_of_an_error_is_never_empty() -> None:
    assert first_line(ValueError("\none\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
