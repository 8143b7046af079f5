"""Corpus statistics: a corpus counted by hand, the published counts, the command."""

import json
from pathlib import Path

import pytest

from chmed_ner.cli import main
from chmed_ner.data.columns import read_columns
from chmed_ner.data.healthner import read_healthner
from chmed_ner.data.statistics import Published, corpus_statistics, statistics_markdown
from chmed_ner.entities.bio import chunks
from chmed_ner.entities.labels import label_scheme
from chmed_ner.entities.types import Sentence

LABELS = label_scheme("two", {"DISE": {"traditional": "疾病"}, "BODY": {"traditional": "人體"}})
POLICIES = ("longest_first", "all_occurrences", "first", "in_order")


def sentence(text: str, tags: str, genre: str) -> Sentence:
    read = tuple(tags.split())
    return Sentence(f"{genre}/{text}", "test", genre, text, read, chunks(read))


HAND = (
    sentence("胃痛傷胃", "B-DISE I-DISE O B-BODY", "FT"),
    sentence("肝炎與肝", "I-DISE I-DISE O B-BODY", "FT"),
    sentence("你好", "O O", "SM"),
)


def test_counts_by_hand() -> None:
    formal = corpus_statistics({"test": HAND}, LABELS)["test"]["FT"]
    assert formal | {"ceilings": None} == {
        "sentences": 2,
        "sentences_with_entity": 2,
        "sentences_without_entity": 0,
        "characters": 8,
        "entities": 3,
        "official_chunks": 4,
        "types": {"DISE": 1, "BODY": 2},
        "ceilings": None,
    }
    # `first` looks for 胃 and 肝 leftmost, where the disease lies: 2 of 4 found, nothing false.
    assert formal["ceilings"] == pytest.approx(
        {"longest_first": 100, "all_occurrences": 100, "first": 200 / 3, "in_order": 100}
    )


def test_rows_and_their_order() -> None:
    stats = corpus_statistics({"train": HAND[::-1], "test": ()}, LABELS)
    assert {split: list(rows) for split, rows in stats.items()} == {
        "train": ["FT", "SM", "all"],
        "test": ["all"],
    }
    assert stats["train"]["all"]["sentences_without_entity"] == 1
    assert stats["train"]["SM"]["ceilings"] == dict.fromkeys(POLICIES, 0)
    assert stats["test"]["all"]["types"] == {"DISE": 0, "BODY": 0}
    assert json.loads(json.dumps(stats)) == stats


def test_the_table() -> None:
    stats = corpus_statistics({"train": HAND, "test": HAND[:2]}, LABELS)
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in markdown_lines(stats)]
    assert rows[0] == ["", "train FT", "train SM", "train all", "test FT"]
    table = {row[0]: row[1:] for row in rows}
    assert table["sentences"] == ["2", "1", "3", "2"]
    assert table["without"] == ["0 (0.00%)", "1 (100.00%)", "1 (33.33%)", "0 (0.00%)"]
    assert table["BODY 人體"] == ["2 (66.67%)", "0", "2 (66.67%)", "2 (66.67%)"]
    assert table["ceiling `first`"] == ["66.67", "0.00", "66.67", "66.67"]
    assert len({len(row) for row in rows}) == 1


def test_published_figures_stand_to_the_right_and_show_the_difference() -> None:
    published = Published(
        "them", "their page", frozenset(), {"sentences": 3, "entities": 2, "types": {"DISE": 1}}
    )
    stats = corpus_statistics({"train": HAND, "test": HAND[:2]}, LABELS)
    text = statistics_markdown(stats, LABELS, {"test": {"FT": (published,), "SM": (published,)}})
    table, explained, sources = text.split("\n\n")
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]
    assert rows[0] == ["", "train FT", "train SM", "train all", "test FT", "them"]
    theirs = {row[0]: row[-1] for row in rows[2:]}
    assert theirs.pop("sentences") == "3 (-1)"
    assert theirs.pop("entities (`B-` tags)") == "2 (+1)"
    assert theirs.pop("DISE 疾病") == "1"
    assert set(theirs.values()) == {""}
    assert "chmed_ner/data/README.md" in explained
    assert sources == "- test FT, them: their page\n"


def markdown_lines(stats: dict[str, dict[str, dict[str, object]]]) -> list[str]:
    return statistics_markdown(stats, LABELS).splitlines()


@pytest.mark.parametrize(
    ("file", "entities", "official", "ceilings"),
    [
        ("rocling2022/ROCLING22_CHNER_truth.txt", 13_372, 13_378, (99.71, 95.54, 94.78, 99.91)),
        ("rocling2023/MultiNER-Health_truth_FT.txt", 10_845, 10_849, (99.21, 94.94, 91.54, 99.73)),
        ("rocling2023/MultiNER-Health_truth_WA.txt", 9_761, 9_761, (99.70, 95.45, 94.95, 99.96)),
        ("healthner/test.json", 7_305, 7_305, (99.39, 96.00, 92.49, 99.82)),
    ],
)
def test_published_counts_and_ceilings(
    file: str,
    entities: int,
    official: int,
    ceilings: tuple[float, ...],
    corpora_dir: Path,
) -> None:
    path, options = corpora_dir / file, {"prefix": "", "split": "test", "labels": None}
    if path.suffix == ".json":
        sentences = read_healthner(path, genres=("FT", "SM"), **options)
    else:
        sentences = read_columns(path, genre="G", **options)
    tags = sorted({span.type for found in sentences for span in found.entities})
    scheme = label_scheme("all", {tag: {"traditional": tag} for tag in tags})
    row = corpus_statistics({"test": sentences}, scheme)["test"]["all"]
    assert (row["entities"], row["official_chunks"]) == (entities, official)
    assert tuple(round(row["ceilings"][policy], 2) for policy in POLICIES) == ceilings


def test_the_command_on_the_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "stats.json"
    assert main(["stats", "dataset=sample", "--json", str(target), "seed=3"]) == 0
    table = capsys.readouterr().out
    stats = json.loads(target.read_text())
    assert set(stats) == {"train", "test"}
    assert set(stats["test"]) == {"FT", "SM", "WA", "all"}
    assert f"{stats['train']['all']['characters']:,}" in table
    assert "| TREAT 治療 |" in table
    assert main(["stats", "--json", "-", "dataset=sample"]) == 0
    assert json.loads(capsys.readouterr().out) == stats


def test_the_command_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", "dataset=rocling2022", f"paths.data={tmp_path}"]) == 2
    assert "ROCLING22_CHNER_truth.txt: no such file" in capsys.readouterr().err
    assert main(["stats", "--json", str(tmp_path)]) == 2
    assert f"--json {tmp_path}: cannot be written" in capsys.readouterr().err


def test_the_command_without_the_training_file(
    corpora_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = "rocling2022/ROCLING22_CHNER_truth.txt"
    (tmp_path / gold).parent.mkdir()
    (tmp_path / gold).symlink_to(corpora_dir / gold)
    arguments = ["stats", "--json", "-", "dataset=rocling2022", f"paths.data={tmp_path}"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "no figures for train" in said.err
    assert "healthner/train.json" in said.err
    stats = json.loads(said.out)
    assert list(stats) == ["test"]
    assert stats["test"]["WA"] == stats["test"]["all"]
    assert stats["test"]["all"]["sentences"] == 3205
