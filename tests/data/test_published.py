"""Our counts beside published ones, and that README.md explains what the real files hold."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import chmed_ner
from chmed_ner.cli import main
from chmed_ner.data.dataset import Dataset
from chmed_ner.data.repairs import repair_counts
from chmed_ner.data.statistics import (
    PUBLISHED,
    Published,
    corpus_statistics,
    parts_of,
    published_for,
    statistics_markdown,
)
from chmed_ner.entities.bio import split_tag
from chmed_ner.entities.types import Sentence
from chmed_ner.run.config import build, compose

README = Path(chmed_ner.__file__).parent / "data" / "README.md"
TYPES_2022 = {
    "BODY": 5308, "SYMP": 1944, "INST": 250, "EXAM": 207, "CHEM": 1718, "DISE": 2609, "DRUG": 481,
    "SUPP": 183, "TREAT": 466, "TIME": 194,
}  # fmt: skip
"""The paper's Table 2."""


def dataset(*words: str) -> Dataset:
    built: Dataset = build(compose(list(words)).dataset, "dataset")
    return built


def gold_of(corpora_dir: Path, *words: str) -> tuple[Dataset, tuple[Sentence, ...]]:
    chosen = dataset(*words)
    return chosen, chosen.raw(corpora_dir, training=False)["test"]


def readme() -> str:
    """The text on one line, so that a sentence is found wherever its line breaks."""
    return " ".join(README.read_text(encoding="utf-8").split())


def table(corpora_dir: Path, *words: str) -> str:
    chosen, sentences = gold_of(corpora_dir, *words)
    published = {"test": published_for(parts_of(chosen.sources(corpora_dir, "test")))}
    stats = corpus_statistics({"test": sentences}, chosen.scheme)
    return statistics_markdown(stats, chosen.scheme, published).split("\n\n")[0]


def beginning_with_i(sentences: tuple[Sentence, ...]) -> tuple[int, int]:
    """Entities that begin with an `I-` tag: after an outside tag, behind another entity."""
    found = [
        split_tag(sentence.tags[span.start - 1] if span.start else "O")[0] == "O"
        for sentence in sentences
        for span in sentence.entities
        if sentence.tags and sentence.tags[span.start].startswith("I-")
    ]
    return sum(found), len(found) - sum(found)


@pytest.mark.parametrize(
    "words",
    [
        ("dataset=rocling2022",),
        ("dataset=rocling2022", "dataset.without_last_sentence=true"),
        ("dataset=rocling2023", "dataset.genres=[FT,WA]"),
    ],
)
def test_the_readme_s_tables_are_what_the_command_prints(
    words: tuple[str, ...], corpora_dir: Path
) -> None:
    assert f"\n{table(corpora_dir, *words)}\n" in README.read_text(encoding="utf-8")


def test_every_difference_of_rocling2022_is_explained(corpora_dir: Path) -> None:
    chosen, sentences = gold_of(corpora_dir, "dataset=rocling2022")
    whole = corpus_statistics({"t": sentences}, chosen.scheme)["t"]["all"]
    shorter = corpus_statistics({"t": sentences[:-1]}, chosen.scheme)["t"]["all"]
    last = Counter(span.type for span in sentences[-1].entities)
    after_outside, behind = beginning_with_i(sentences)
    tags = Counter(tag for sentence in sentences for tag in sentence.tags or ())
    assert (tags["O-SYMP"], tags["i-CHEM"]) == (1, 1)
    raw = (corpora_dir / "rocling2022" / "ROCLING22_CHNER_truth.txt").read_bytes()
    separators = raw.decode().split("\r\n").count(" ")
    paper, organisers = published_for(parts_of(chosen.sources(corpora_dir, "test")))["WA"]
    for words in (
        f"| {whole['official_chunks']:,} | official chunks of the released file",
        f"| {whole['entities']:,} | its `B-` tags |",
        f"| {organisers.row['entities']:,} | the organisers' Readme |",
        f"| {shorter['entities']:,} | `B-` tags without the last sentence |",
        f"| {paper.row['entities']:,} | the paper's Table 2 |",
        f"**{whole['official_chunks']:,} against {whole['entities']:,}**: "
        f"{whole['official_chunks'] - whole['entities']} entities begin with an `I-` tag "
        f"({after_outside} after an outside tag, {behind} after an",
        f"holds {whole['types']['TIME']} TIME where the Readme says "
        f"{organisers.row['types']['TIME']}",
        f"its {whole['sentences']:,} sentences by {separators:,} lines of one",
        f"({len(sentences[-1].text)} characters) has {last.total()} entities, {last['BODY']} BODY "
        f"and {last['TREAT']} TREAT, and {organisers.row['entities']:,} - {last.total()} = "
        f"{paper.row['entities']:,}",
        f"Without the last sentence the official scorer, too, sees {shorter['official_chunks']:,}",
        f"TIME is {shorter['types']['TIME']} against {paper.row['types']['TIME']}, and the total "
        f"{shorter['entities']:,} against {paper.row['entities']:,}",
    ):
        assert " ".join(words.split()) in readme()
    assert set(last) == {"BODY", "TREAT"}
    others = {tag for tag, n in whole["types"].items() if n != organisers.row["types"][tag]}
    assert others == {"TIME"}


def test_every_difference_of_rocling2023_is_explained(corpora_dir: Path) -> None:
    _, sentences = gold_of(corpora_dir, "dataset=rocling2023", "dataset.genres=[FT]")
    after_outside, behind = beginning_with_i(sentences)
    assert (
        f"FT has {after_outside + behind} entities that begin with an `I-` tag "
        f"({after_outside} after an outside tag, {behind} after an entity of another type): "
        f"{sum(len(sentence.entities) for sentence in sentences):,} official chunks"
    ) in readme()
    without = sum(not sentence.entities for sentence in sentences)
    assert f"{without} of the 5 without one are in FT" in readme()


def test_the_readme_s_repairs_and_conflicts(corpora_dir: Path) -> None:
    chosen = dataset(
        *("dataset=rocling2023", "dataset.protocol=shared_task", "dataset.genres=[FT]"),
        "dataset.healthner_part=test",
    )
    train = chosen.raw(corpora_dir)["train"]
    counts = repair_counts(train)
    kinds = [f"{n} `{key.removeprefix('repaired_')}`" for key, n in list(counts.items())[1:]]
    assert f"{counts['repaired_tags']} tags are repaired: {', '.join(kinds)}" in readme()
    assert f"In the {len(train):,} sentences named above" in readme()


def test_the_paper_s_rocling2022_column(
    corpora_dir: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nine of ten types exactly, once its lost sentence is left out."""
    words = ["dataset=rocling2022", "dataset.without_last_sentence=true"]
    target = tmp_path / "stats.json"
    assert main(["stats", *words, f"paths.data={corpora_dir}", "--json", str(target)]) == 0
    row: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))["test"]["WA"]
    assert row["sentences"] == row["sentences_with_entity"] == 3204
    assert row["types"] == {**TYPES_2022, "TIME": 197}
    assert (row["entities"], sum(TYPES_2022.values())) == (13_363, 13_360)
    said = capsys.readouterr().out.splitlines()
    (header,) = [line for line in said if line.startswith("|  |")]
    assert header.endswith("| test WA | paper | organisers |")
    (time,) = [line for line in said if line.startswith("| TIME")]
    assert time.endswith("| 197 (1.47%) | 194 (+3) | 194 (+3) |")
    (body,) = [line for line in said if line.startswith("| BODY")]
    assert body.endswith("| 5,308 (39.72%) | 5,308 | 5,315 (-7) |")
    assert "- test WA, paper: Wang and Yang 2023, Table 2, ROCLING-2022" in said


@pytest.mark.parametrize(("genre", "sentences", "without"), [("FT", 2035, 4), ("WA", 2381, 0)])
def test_rocling2023_equals_the_organisers_table(
    genre: str, sentences: int, without: int, corpora_dir: Path
) -> None:
    chosen, found = gold_of(corpora_dir, "dataset=rocling2023", f"dataset.genres=[{genre}]")
    row = corpus_statistics({"t": found}, chosen.scheme)["t"][genre]
    assert (row["sentences"], row["sentences_without_entity"]) == (sentences, without)
    (theirs,) = published_for(parts_of(chosen.sources(corpora_dir, "test")))[genre]
    assert {key: row[key] for key in theirs.row} == dict(theirs.row)
    assert {"sentences", "characters", "entities", "types"} <= set(theirs.row)


def test_healthner_s_test_part_equals_the_organisers_table(corpora_dir: Path) -> None:
    chosen = dataset("dataset=rocling2022", "dataset.healthner_part=test")
    row = corpus_statistics({"t": chosen.raw(corpora_dir)["train"]}, chosen.scheme)["t"]["all"]
    (theirs,) = published_for(parts_of(chosen.sources(corpora_dir, "train")))["all"]
    assert {key: row[key] for key in theirs.row} == dict(theirs.row)


def names(*words: str) -> dict[str, list[str]]:
    """Genre -> the names of the published columns for the test split."""
    found = published_for(parts_of(dataset(*words).sources(Path("nowhere"), "test")))
    return {genre: [each.name for each in columns] for genre, columns in found.items()}


def test_published_columns_stand_beside_the_very_same_sentences_only() -> None:
    assert names("dataset=rocling2023") == {
        "FT": ["organisers"],
        "SM": ["organisers"],
        "WA": ["organisers"],
        "all": ["paper", "organisers"],
    }
    assert names("dataset=rocling2023", "dataset.genres=[FT,WA]")["all"] == []
    assert names("dataset=healthner") == {"FT": [], "SM": [], "all": ["organisers"]}
    assert names("dataset=healthner", "dataset.genres=[SM]") == {"SM": [], "all": []}
    assert set(map(tuple, names("dataset=sample").values())) == {()}
    chosen = dataset("dataset=rocling2023", "dataset.protocol=shared_task")
    found = published_for(parts_of(chosen.sources(Path("nowhere"), "train")))
    assert {genre: [each.name for each in found[genre]] for genre in found} == {
        "FT": [],
        "SM": [],
        "WA": ["paper", "organisers"],
        "all": [],
    }


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda each: each.source)
def test_published_figures_agree_with_themselves(published: Published) -> None:
    row = published.row
    if "types" in row:
        assert sum(row["types"].values()) == row["entities"]
        assert len(row["types"]) == 10
    if "sentences_with_entity" in row:
        parts = row["sentences_with_entity"] + row["sentences_without_entity"]
        assert parts == row["sentences"]


def test_the_genres_of_rocling2023_add_up_but_for_two_entities() -> None:
    genres = [each for each in PUBLISHED if "Table 3" in each.source]
    (text,) = [each for each in PUBLISHED if each.source.endswith("ROCLING-2023, text")]
    assert sum(each.row["characters"] for each in genres) == text.row["characters"]
    total = sum(each.row["entities"] for each in genres)
    assert f"= {total:,} entities; the text above it says {text.row['entities']:,}" in readme()
