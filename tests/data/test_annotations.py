"""Annotated documents in the four formats, read back."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from chmed_ner.data.columns import read_columns
from chmed_ner.data.documents import Annotated, Document, annotate
from chmed_ner.data.writing import bio, brat, conll, jsonl
from chmed_ner.entities.bio import chunks
from chmed_ner.entities.types import Prediction, Span

WORDS = {"頭痛": "SYMP", "普拿 疼": "DRUG", "糖尿病": "DISE", "\u3000 痛": "SYMP"}
TEXTS = ["頭痛吃普拿 疼。沒事！又頭痛", "", "沒事", "😀糖尿病", "\u3000 痛"]


class Known:
    """A model that finds the known words."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """The first occurrence of each."""
        return [
            Prediction(
                "0",
                "predict",
                "",
                text,
                tuple(
                    Span(text.index(word), text.index(word) + len(word), type_)
                    for word, type_ in WORDS.items()
                    if word in text
                ),
            )
            for text in texts
        ]


def annotated(end: str = "\n") -> list[Annotated]:
    """The texts as a file's documents."""
    return list(annotate(Known(), [[Document(text, end) for text in TEXTS]], longest=11))


def test_jsonl_is_one_object_a_document() -> None:
    records = [json.loads(line) for line in jsonl(annotated())]
    assert [each["sentence"] for each in records] == TEXTS
    assert [len(each["entities"]) for each in records] == [3, 0, 0, 1, 1]
    for each in records:
        assert set(each) == {"id", "sentence", "entities", "problems"}
        for entity in each["entities"]:
            assert each["sentence"][entity["start"] : entity["end"]] == entity["mention"]


def test_jsonl_holds_lone_surrogates() -> None:
    (line,) = jsonl(annotate(Known(), [[Document("\ud800頭痛")]]))
    line.encode("utf-8")
    assert json.loads(line)["sentence"] == "\ud800頭痛"


def test_bio_is_read_back_as_a_corpus(tmp_path: Path) -> None:
    found = annotated()
    (tmp_path / "out.txt").write_text("".join(bio(found)), encoding="utf-8")
    read = read_columns(tmp_path / "out.txt", prefix="", split="test", genre="G", labels=None)
    kept = [each.prediction for each in found if each.document.text]
    assert [each.text for each in read] == [each.text for each in kept]
    assert [each.entities for each in read] == [each.entities for each in kept]


def test_conll_has_documents_sentences_and_offsets() -> None:
    written = "".join(conll(annotated()))
    documents = written.split("-DOCSTART- -X- O O\n\n")[1:]
    assert len(documents) == len(TEXTS)
    assert [len(document.split("\n\n")) - 1 for document in documents] == [3, 0, 1, 1, 1]
    for document, text in zip(documents, TEXTS, strict=True):
        rows = [line.split(" ") for line in document.splitlines() if line]
        assert all(len(row) == 4 and not row[0].isspace() for row in rows)
        assert all(text[int(row[1]) : int(row[2])] == row[0] for row in rows)
    tags = [line.split(" ")[3] for line in documents[0].splitlines() if line]
    assert [span.type for span in chunks(tags)] == ["SYMP", "DRUG", "SYMP"]
    assert documents[4].splitlines()[0] == "痛 2 3 B-SYMP", "its first visible character"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_brat_offsets_point_into_the_whole_file(end: str) -> None:
    content = "".join(text + end for text in TEXTS)
    lines = "".join(brat(annotated(end))).splitlines()
    assert [line.split("\t")[0] for line in lines] == [f"T{n}" for n in range(1, 6)]
    mentions = []
    for line in lines:
        _, place, mention = line.split("\t")
        type_, start, stop = place.split(" ")
        assert content[int(start) : int(stop)] == mention
        mentions.append((type_, mention))
    types = [(type_, word) for word, type_ in WORDS.items()]
    assert sorted(mentions) == sorted([*types, ("SYMP", "頭痛")])
