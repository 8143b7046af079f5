"""The corpora that people bring, read as they are: counts of texts, entities and types."""

import logging
import os
from pathlib import Path

import pytest

from chmed_ner.data import Annotations, read_annotated

DATA = Path(os.environ.get("CHMED_NER_DATA", "../shared/data"))


def read(name: str, format: str, **options: object) -> Annotations:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    return read_annotated(path, format, options)


@pytest.mark.parametrize(
    ("name", "format", "texts", "entities", "types"),
    [
        ("cmeee/train_data.txt", "pipes", 15_000, 61_796 - 2, 9),
        ("cmeee/val_data.txt", "pipes", 5_000, 20_300, 9),
        ("cmedqaner/train.txt", "columns", 1_673, 12_490, 11),
        ("cmedqaner/dev.txt", "columns", 175, 1_024, 11),
        ("cmedqaner/test.txt", "columns", 215, 1_340, 11),
        ("cehrner/train.txt", "columns", 914, 16_136, 7),
        ("cehrner/dev.txt", "columns", 44, 749, 7),
        ("cehrner/test.txt", "columns", 41, 632, 7),
        ("yidu_s4k/subtask1_training_part1.txt", "span_json", 400, 7_342, 6),
        ("yidu_s4k/subtask1_training_part2.txt", "span_json", 600, 17_653 - 7_342, 6),
        ("yidu_s4k/subtask1_test_set_with_answer.json", "span_json", 379, 6_002, 6),
        ("cluener/train.json", "span_dict", 10_748, 23_972, 10),
        ("cluener/dev.json", "span_dict", 1_343, 3_072, 10),
        ("resume/train.char.bmes", "columns", 3_821, 13_440, 8),
        ("resume/dev.char.bmes", "columns", 463, 1_497, 8),
        ("resume/test.char.bmes", "columns", 477, 1_630, 8),
        ("rocling2022/ROCLING22_CHNER_truth.txt", "columns", 3_205, 13_378, 10),
    ],
)
def test_counts(name: str, format: str, texts: int, entities: int, types: int) -> None:
    found = read(name, format)
    spans = [span for text in found.texts for span in text.entities]
    assert (len(found.texts), len(spans), len({span.type for span in spans})) == (
        texts,
        entities,
        types,
    )
    assert all(
        0 <= span.start < span.end <= len(text.text)
        for text in found.texts
        for span in text.entities
    )


@pytest.mark.parametrize(("name", "inside"), [("train", 3_644), ("val", 1_209)])
def test_nested_entities_of_cmeee(name: str, inside: int) -> None:
    found = read(f"cmeee/{name}_data.txt", "pipes")
    assert inside == sum(
        any(
            other.start <= span.start and span.end <= other.end
            for other in text.entities
            if (other.start, other.end) != (span.start, span.end)
        )
        for text in found.texts
        for span in text.entities
    )


def test_bad_offsets_of_cmeee_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = read("cmeee/train_data.txt", "pipes")
    assert dict(found.counts) == {"bad_offsets": 2, "repeated": 0, "crossing": 3}
    assert found.notes == ("61,794 entities: inclusive ends, offsets in characters",)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "line 6052: entity pro 16 15" in said[0]
    assert "line 6422: entity mic 15 14" in said[1]


def test_a_mark_within_a_file_is_a_character() -> None:
    """CMeEE's offsets count the byte order marks that its sentences begin with."""
    text = read("cmeee/val_data.txt", "pipes").texts[187]
    first = text.entities[0]
    assert text.text.startswith("\ufeff三、")
    assert text.text[first.start : first.end] == "气溶胶吸入疗法"


def test_the_files_tags_are_kept_where_the_scorer_reads_the_same() -> None:
    official = read("rocling2022/ROCLING22_CHNER_truth.txt", "columns")
    tags = {tag for text in official.texts for tag in text.tags or ()}
    assert {"i-CHEM", "O-SYMP"} < tags
    assert "scheme BIO, tags B-X" in official.notes
    assert "scheme BMES, tags B-X" in read("resume/dev.char.bmes", "columns").notes
    assert all(text.tags is None for text in read("cmedqaner/dev.txt", "columns").texts)
