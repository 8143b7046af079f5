"""The reader of HealthNER's JSON lines, plain and zipped."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.data.healthner import read_healthner
from chmed_ner.entities.labels import label_scheme
from chmed_ner.entities.types import Sentence, Span
from chmed_ner.errors import InputError

LABELS = label_scheme("two", {"DISE": {"traditional": "疾病"}, "BODY": {"traditional": "人體"}})


def record(number: int, text: str = "肺炎", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"{number:05d}",
        "genre": "ft",
        "sentence": text,
        "word": [text],
        "word_label": ["DISE"],
        "character": list(text),
        "character_label": ["B-DISE", *["I-DISE"] * (len(text) - 1)],
        **changes,
    }


def lines(*records: dict[str, Any]) -> bytes:
    return "".join(json.dumps(item) + "\r\n" for item in records).encode()


def read(path: Path, genres: tuple[str, ...] = ("FT", "SM")) -> tuple[Sentence, ...]:
    return read_healthner(path, prefix="h/", split="train", genres=genres, labels=LABELS)


def read_bytes(content: bytes, folder: Path) -> tuple[Sentence, ...]:
    path = folder / "train.json"
    path.write_bytes(content)
    return read(path)


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_sentences_and_genres(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    path.write_bytes(lines(record(7), record(3, "胃 痛", genre="sm")) + b"\r\n")
    first, second = read(path)
    assert (first.id, first.split, first.genre, first.text) == ("h/00007", "train", "FT", "肺炎")
    assert first.entities == (Span(0, 2, "DISE"),)
    assert (second.id, second.genre, second.text) == ("h/00003", "SM", "胃 痛")
    assert read(path, ("SM",)) == (second,)


def test_the_tags_belong_to_the_characters_where_only_white_space_differs(tmp_path: Path) -> None:
    (sentence,) = read_bytes(lines(record(1, sentence=" 肺 炎\n")), tmp_path)
    assert sentence.text == "肺炎"


def test_the_zip_is_read_like_the_plain_file(tmp_path: Path) -> None:
    content = lines(record(1), record(2))
    plain = read_bytes(content, tmp_path)
    members = {"data/train.json": content, "__MACOSX/data/train.json": b"\0", "README": b"x"}
    assert read(pack(tmp_path / "train.zip", members)) == plain
    assert sorted(file.name for file in tmp_path.iterdir()) == ["train.json", "train.zip"]


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({}, "holds no train.json (it holds nothing)"),
        ({"test.json": b""}, "holds no train.json (it holds 'test.json')"),
        ({"a/train.json": b"", "b/train.json": b""}, "holds 2 files named train.json"),
    ],
)
def test_a_zip_must_hold_one_file(members: dict[str, bytes], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(pack(tmp_path / "train.zip", members))
    assert says in str(caught.value)


def test_errors_in_a_zip_name_archive_member_and_line(tmp_path: Path) -> None:
    path = pack(tmp_path / "train.zip", {"train.json": lines(record(1)) + b"{\n"})
    with pytest.raises(InputError, match=r"train.zip!train.json, line 2: not JSON"):
        read(path)


def test_every_cut_of_a_zip_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "train.zip", {"train.json": lines(*map(record, range(20)))})
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"train.zip: not a readable zip file"):
            read(path)


def test_a_changed_byte_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "train.zip", {"train.json": lines(*map(record, range(20)))})
    content = bytearray(path.read_bytes())
    content[len("train.json") + 60] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"train.zip"):
        read(path)


SURROGATE = "\ud800"


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"{\n", "not JSON: "),
        (b"[1]\n", "a JSON list; expected one object"),
        (b"[" * 100_000 + b"\n", "not usable JSON"),
        (b"\xff\n", "not UTF-8"),
        (lines(record(2, character=None)), "key `character`"),
        (lines(record(2, character=[], character_label=[])), "key `character`"),
        (lines(record(2, character_label=["O", 1])), "key `character_label`"),
        (lines(record(2, character_label=["O"])), "2 characters but 1 character labels"),
        (lines(record(2, character=["肺炎", "x"])), "holds '肺炎'; each must be one character"),
        (lines(record(2, character=["肺", "痛"])), "part after 1 characters, with '痛' and '炎'"),
        (lines(record(2, sentence="肺炎了")), "part after 2 characters, with '' and '了'"),
        (lines(record(2, sentence=None)), "key `sentence`"),
        (lines(record(2, SURROGATE)), "lone surrogate"),
        (lines(record(2, sentence=f"肺{SURROGATE}炎")), "`sentence` holds a lone surrogate"),
        (lines(record(2, id=SURROGATE)), "`id` holds a lone surrogate"),
        (lines(record(2, id=None)), "key `id`"),
        (lines(record(2, genre="wa")), "key `genre` is 'wa'; expected ft or sm"),
        (lines(record(2, character_label=["O", "B-XYZ"])), "type 'XYZ' is not in the label scheme"),
        (lines(record(2, character_label=["O", "XYZ"])), "invalid tag 'XYZ'"),
        (lines(record(1)), "id '00001' was used on line 1"),
        (lines(record(2))[:-20], "if it was cut short"),
    ],
)
def test_a_bad_line_is_named(bad: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_bytes(lines(record(1)) + bad, tmp_path)
    assert "train.json, line 2: " in str(caught.value)
    assert says in str(caught.value)


def test_a_byte_order_mark_and_an_empty_file(tmp_path: Path) -> None:
    marked = read_bytes(b"\xef\xbb\xbf" + lines(record(1)), tmp_path)
    assert marked == read_bytes(lines(record(1)), tmp_path)
    with pytest.raises(InputError, match="holds no sentence"):
        read_bytes(b"\r\n", tmp_path)


def test_the_released_file(corpora_dir: Path, tmp_path: Path) -> None:
    path = corpora_dir / "healthner" / "test.json"
    options = {"prefix": "h/", "split": "test", "labels": None}
    found = read_healthner(path, genres=("FT", "SM"), **options)
    assert len(found) == 2531
    assert sum(sentence.genre == "FT" for sentence in found) == 1690
    assert sum(len(sentence.entities) for sentence in found) == 7305
    assert found[0].text.startswith("雞蛋含有多種維生素")
    archive = pack(tmp_path / "test.zip", {"test.json": path.read_bytes()})
    assert read_healthner(archive, genres=("SM",), **options) == tuple(
        sentence for sentence in found if sentence.genre == "SM"
    )
