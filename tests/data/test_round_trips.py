"""What is written in a format is read back: every offset, beyond U+FFFF too."""

import json
from pathlib import Path

import pytest

from chmed_ner.data import Annotated, as_gold, read_annotated, write_annotations
from chmed_ner.data.documents import Document
from chmed_ner.data.writing import ANNOTATION_FORMATS, doccano, label_studio
from chmed_ner.entities import AnnotatedText, Prediction, Span
from chmed_ner.errors import InputError

READERS = {
    "bio": "columns", "conll": "columns", "brat": "brat", "doccano": "doccano",
    "label_studio": "label_studio", "jsonl": "span_json",
}  # fmt: skip
FLAT = (
    AnnotatedText("😀糖尿病,𫝆天又頭 痛", (Span(1, 4, "DISE"), Span(8, 11, "SYMP")), id="a-1"),
    AnnotatedText("\ufeff# 無\u3000事", (), id="b"),
    AnnotatedText("頭痛", (Span(0, 1, "BODY"), Span(1, 2, "SYMP")), id="c"),
)
NESTED = (
    *FLAT,
    AnnotatedText(
        "肝硬\r\n化，又\n肝",
        (Span(0, 5, "dis"), Span(0, 5, "sym"), Span(0, 1, "bod"), Span(8, 9, "bod")),
        id="d",
    ),
)


def spans(text: AnnotatedText) -> list[tuple[str, str]]:
    """Type and mention of each entity, what a column cannot hold left out."""
    return [(s.type, "".join(text.text[s.start : s.end].split())) for s in text.entities]


@pytest.mark.parametrize("style", ANNOTATION_FORMATS)
def test_every_span_comes_back(style: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    write_annotations(path, style, as_gold(FLAT))
    found = read_annotated(path, READERS[style], {}).texts
    assert list(map(spans, found)) == list(map(spans, FLAT))
    if style != "conll":  # it holds no white space
        assert [each.entities for each in found] == [each.entities for each in FLAT]
    if style in ("jsonl", "doccano", "label_studio"):
        assert [each.text for each in found] == [each.text for each in FLAT]


@pytest.mark.parametrize("style", ["brat", "doccano", "label_studio", "jsonl"])
def test_entities_over_one_another_and_over_line_ends_come_back(style: str, tmp_path: Path) -> None:
    write_annotations(tmp_path / "out", style, as_gold(NESTED))
    found = read_annotated(tmp_path / "out", READERS[style], {}).texts
    assert [sorted(each.entities) for each in found] == [sorted(each.entities) for each in NESTED]


def test_label_studio_s_scores_are_the_confidences() -> None:
    spans = (Span(0, 2, "DISE", 0.9), Span(2, 3, "BODY", 0.4), Span(3, 4, "BODY"))
    found = [
        Annotated(Document("糖尿病人"), Prediction("a", "", "", "糖尿病人", some), ((0, 4),))
        for some in (spans, spans[2:])
    ]
    first, second = json.loads("".join(label_studio(found)))
    (answer,) = first["predictions"]
    assert [region.get("score") for region in answer["result"]] == [0.9, 0.4, None]
    assert answer["score"] == 0.4
    assert "score" not in second["predictions"][0]


@pytest.mark.parametrize("style", ["bio", "conll"])
def test_columns_refuse_what_they_cannot_say(
    style: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError, match=r"text d: .* BIO tags cannot say; write brat, doccano"):
        write_annotations(tmp_path / "out", style, as_gold(NESTED))
    assert not (tmp_path / "out").exists(), "never half a file"
    write_annotations(tmp_path / "out", style, as_gold(NESTED, outermost=True))
    assert "2 entities inside others, or crossing them, are left out" in caplog.text
    found = read_annotated(tmp_path / "out", "columns", {}).texts
    kept = [each for text in found for each in spans(text)][-2:]
    assert kept == [("dis", "肝硬化"), ("bod", "肝")], "no sentence ends inside an entity"
    odd = AnnotatedText("頭痛", (Span(0, 2, "body part"),))
    with pytest.raises(InputError, match="type 'body part' has white space"):
        write_annotations(tmp_path / "odd", style, as_gold([odd]))


def test_doccano_counts_utf16_units() -> None:
    (first, *_) = doccano(as_gold(FLAT))
    assert json.loads(first)["label"] == [[2, 5, "DISE"], [10, 13, "SYMP"]]


def test_label_studio_has_one_list_of_tasks_to_import() -> None:
    tasks = json.loads("".join(label_studio(as_gold(FLAT))))
    assert [task["data"]["id"] for task in tasks] == ["a-1", "b", "c"]
    (region, other) = tasks[0]["annotations"][0]["result"]
    assert (region["from_name"], region["to_name"], region["type"]) == ("label", "text", "labels")
    assert region["value"] == {"start": 1, "end": 4, "text": "糖尿病", "labels": ["DISE"]}
    assert region["id"] != other["id"]
    found = Annotated(Document("頭痛"), Prediction("0", "", "", "頭痛", (Span(0, 2, "SYMP"),)), ())
    (task,) = json.loads("".join(label_studio([found])))
    assert task["predictions"][0]["model_version"] == "chmed_ner"
    assert "annotations" not in task, "nobody has looked at it"
    assert json.loads("".join(label_studio([]))) == []


def test_brat_folders_have_line_feeds_and_are_never_mixed(tmp_path: Path) -> None:
    write_annotations(tmp_path / "out", "brat", as_gold(NESTED))
    assert {each.name for each in (tmp_path / "out").glob("*.txt")} == {
        "a-1.txt", "b.txt", "c.txt", "d.txt",
    }  # fmt: skip
    assert (tmp_path / "out" / "d.txt").read_bytes() == "肝硬 \n化，又\n肝".encode()
    first = (tmp_path / "out" / "d.ann").read_text(encoding="utf-8").splitlines()[0]
    assert first == "T1\tdis 0 3;4 5\t肝硬  化"
    with pytest.raises(InputError, match="is there already; name a new folder"):
        write_annotations(tmp_path / "out", "brat", as_gold(FLAT))
    with pytest.raises(InputError, match="two documents have the id 'c'"):
        write_annotations(tmp_path / "twice", "brat", as_gold([FLAT[2], FLAT[2]]))


CORPORA = {
    "rocling2022/ROCLING22_CHNER_truth.txt": ("columns", 13378),
    "rocling2023/MultiNER-Health_truth_FT.txt": ("columns", 10849),
    "rocling2023/MultiNER-Health_truth_WA.txt": ("columns", 9761),
    "cmedqaner/train.txt": ("columns", 12490),
    "cehrner/train.txt": ("columns", 16136),
    "resume/train.char.bmes": ("columns", 13440),
    "yidu_s4k/subtask1_training_part1.txt": ("span_json", 7342),
    "yidu_s4k/subtask1_training_part2.txt": ("span_json", 10311),
    "cluener/dev.json": ("span_dict", 3072),
    "cmeee/train_data.txt": ("pipes", 61794),
    "cmeee/val_data.txt": ("pipes", 20300),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CORPORA)
def test_no_gold_span_of_a_corpus_moves_or_is_lost(
    name: str, corpora_dir: Path, tmp_path: Path
) -> None:
    source, entities = CORPORA[name]
    gold = read_annotated(corpora_dir / name, source, {}).texts
    assert sum(len(each.entities) for each in gold) == entities
    for style, reader in READERS.items():
        if source != "pipes" or style not in ("bio", "conll"):
            write_annotations(tmp_path / style, style, as_gold(gold))
            found = read_annotated(tmp_path / style, reader, {}).texts
            if style == "conll":  # sentences and their visible characters, not documents
                one, other = ([each for text in texts for each in spans(text)]
                              for texts in (gold, found))  # fmt: skip
                assert one == other, style
            else:
                assert [each.entities for each in found] == [each.entities for each in gold], style
