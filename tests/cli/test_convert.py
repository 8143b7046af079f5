"""`chmed-ner convert`: from format to format, and what it refuses."""

from pathlib import Path

import pytest

import chmed_ner

SAMPLE = Path(chmed_ner.__file__).parent / "data" / "sample" / "train_FT.txt"


@pytest.mark.parametrize(
    ("style", "reader"),
    [("brat", "brat"), ("doccano", "doccano"), ("label_studio", "label_studio"),
     ("jsonl", "span_json"), ("conll", "columns")],
)  # fmt: skip
def test_the_sample_goes_there_and_back(command, tmp_path: Path, style: str, reader: str) -> None:
    there, back = tmp_path / "there", tmp_path / "back.txt"
    ended = command("convert", SAMPLE, there, "--from", "columns", "--to", style)
    assert (ended.code, ended.out) == (0, "")
    assert "scheme BIO" in ended.err, "what was recognised"
    entities = SAMPLE.read_text(encoding="utf-8").count(" B-")
    assert f"entities: {entities}" in ended.err
    ended = command("convert", there, back, "--from", reader, "--to", "bio")
    assert ended.code == 0, ended.text
    gold = SAMPLE.read_text(encoding="utf-8")
    if style == "conll":
        gold = "".join(line for line in gold.splitlines(True) if not line.startswith(("  ", "\t ")))
    assert back.read_text(encoding="utf-8").strip("\n") == gold.strip("\n")


def test_options_say_what_is_not_recognised(command, tmp_path: Path) -> None:
    file = tmp_path / "in.json"
    file.write_text('[{"t": "頭痛", "e": [{"a": 0, "z": 1, "k": "SYMP"}]}]', encoding="utf-8")
    keys = ("text_key=t", "entities_key=e", "start_key=a", "end_key=z", "type_key=k")
    words = ("convert", file, "-", "--from", "span_json", "--to", "bio", *keys, "end=inclusive")
    ended = command(*words)
    assert (ended.code, ended.out) == (0, "頭 B-SYMP\n痛 I-SYMP\n\n"), ended.text


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("in.txt", "in.txt", "--from", "columns", "--to", "bio"),
            "is one of the files",
        ),
        (("in.txt", "out", "--from", "columns", "--to", "bio", "inclusive"), "give KEY=VALUE"),
        (
            ("in.txt", "out", "--from", "columns", "--to", "bio", "end=inclusive"),
            "format columns does not take it",
        ),
        (("none.txt", "out", "--from", "columns", "--to", "bio"), "none.txt: no such file"),
        (("in.txt", "no/way", "--from", "columns", "--to", "bio"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_refused(
    command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("頭 B-SYMP\n痛 I-SYMP\n", encoding="utf-8")
    (tmp_path / "no").write_text("a file", encoding="utf-8")
    ended = command("convert", *words)
    assert ended.code == 2
    assert problem in ended.err
    assert "頭" in (tmp_path / "in.txt").read_text(encoding="utf-8")
