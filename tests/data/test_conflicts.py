"""Conflicting labels: strings with several types, sentences annotated in several ways."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from chmed_ner.cli import main
from chmed_ner.data.repairs import (
    conflicting_mentions,
    conflicting_sentences,
    conflicts_markdown,
    write_conflicts,
)
from chmed_ner.entities.bio import chunks
from chmed_ner.entities.types import Sentence, Span


def tagged(text: str, tags: str, number: int) -> Sentence:
    read = tuple(tags.split())
    return Sentence(f"t/{number}", "train", "FT", text, read, chunks(read))


CORPUS = (
    tagged("胃痛", "B-DISE I-DISE", 1),
    tagged("胃痛", "B-SYMP I-SYMP", 2),
    tagged("痛胃痛", "B-SYMP B-SYMP I-SYMP", 3),
    tagged("痛", "B-SYMP", 4),
    tagged("痛", "I-SYMP", 5),
    tagged("肺|", "B-DISE I-DISE", 6),
    tagged("肺|", "B-BODY O", 7),
    tagged("肺|", "B-BODY I-BODY", 8),
)


def test_strings_with_more_than_one_type() -> None:
    found = conflicting_mentions(CORPUS)
    assert [(each.text, each.entities, list(each.types.items())) for each in found] == [
        ("胃痛", 3, [("SYMP", 2), ("DISE", 1)]),
        ("肺|", 2, [("BODY", 1), ("DISE", 1)]),
    ]
    assert conflicting_mentions(CORPUS[1:5]) == ()


def test_sentences_annotated_in_more_than_one_way() -> None:
    found = conflicting_sentences(CORPUS)
    assert [(each.text, list(each.entities)) for each in found] == [
        ("胃痛", ["t/1", "t/2"]),
        ("肺|", ["t/6", "t/7", "t/8"]),  # `痛` is repaired to the same
    ]
    assert found[0].entities["t/2"] == (Span(0, 2, "SYMP"),)


def test_shared_entities_are_not_listed() -> None:
    pair = [tagged("胃痛肝", "B-BODY O B-BODY", 1), tagged("胃痛肝", "B-BODY B-SYMP B-BODY", 2)]
    (found,) = conflicting_sentences(pair)
    assert found.shared == {Span(0, 1, "BODY"), Span(2, 3, "BODY")}
    listing = conflicts_markdown("train", pair)
    assert "| 胃痛肝 | t/1 |  |" in listing
    assert "| 胃痛肝 | t/2 | 痛 SYMP \\[1,2) |" in listing


def test_the_listing_is_markdown() -> None:
    listing = conflicts_markdown("train", CORPUS).splitlines()
    assert listing[0] == "## train: 2 strings with more than one type"
    assert "| 胃痛 | 3 | SYMP 2, DISE 1 |" in listing
    assert "| 肺\\| | 2 | BODY 1, DISE 1 |" in listing
    assert "## train: 2 sentences annotated in more than one way" in listing
    assert conflicts_markdown("test", ()).count("None.") == 2


def test_the_csv_files(tmp_path: Path) -> None:
    write_conflicts(tmp_path / "new", {"train": CORPUS, "test": ()}, ("BODY", "SYMP", "DISE"))
    with (tmp_path / "new" / "conflicting_mentions.csv").open(encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["split", "string", "entities", "BODY", "SYMP", "DISE"],
            ["train", "胃痛", "3", "0", "2", "1"],
            ["train", "肺|", "2", "1", "0", "1"],
        ]
    with (tmp_path / "new" / "conflicting_sentences.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[1:3] == [
        ["train", "胃痛", "t/1", "胃痛 DISE [0,2)"],
        ["train", "胃痛", "t/2", "胃痛 SYMP [0,2)"],
    ]
    assert len(rows) == 6


@given(st.lists(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y"]), min_size=2, max_size=2)))
def test_conflicts_are_what_a_plain_count_says(corpus: list[list[str]]) -> None:
    sentences = [tagged("胃胃", " ".join(tags), n) for n, tags in enumerate(corpus)]
    pairs = {(s.mention(span), span.type) for s in sentences for span in s.entities}
    strings = [text for text, _ in pairs]
    found = conflicting_mentions(sentences)
    assert {each.text for each in found} == {text for text in strings if strings.count(text) > 1}
    totals = [each.entities for each in found]
    assert totals == sorted(totals, reverse=True)
    different = len({sentence.entities for sentence in sentences}) > 1
    assert bool(conflicting_sentences(sentences)) is different


def test_the_command_on_the_shared_task_s_training_data(
    corpora_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "stats", "--conflicts", "dataset=rocling2023", "dataset.protocol=shared_task",
        "dataset.healthner_part=test", "dataset.genres=[FT]", f"paths.data={corpora_dir}",
        "--csv", str(tmp_path),
    ]  # fmt: skip
    assert main(words) == 0
    listing = capsys.readouterr().out.splitlines()
    assert "## train: 198 strings with more than one type" in listing
    assert "## train: 6 sentences annotated in more than one way" in listing
    first = listing.index("| string | entities | types |") + 2
    assert listing[first : first + 2] == [
        "| 發炎 | 119 | SYMP 118, DISE 1 |",
        "| 蛋白質 | 96 | CHEM 94, BODY 2 |",
    ]
    with (tmp_path / "conflicting_mentions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["split"] == "train" for row in rows) == 198


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--csv", "x"], "add --conflicts"),
        (["--conflicts", "--json", "-"], "leave out --conflicts"),
    ],
)
def test_options_that_do_not_go_together(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["stats", "--conflicts", "--csv", str(tmp_path / "file")]) == 2
    assert f"--csv {tmp_path / 'file'}: cannot be written" in capsys.readouterr().err
