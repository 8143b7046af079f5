"""`chmed-ner score` and `stats` through the program, on a run's files and the real corpora."""

import json
import re
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "chmed_ner" / "data" / "sample"


def test_the_reference_run_scores_what_its_organisers_say(command, corpora_dir: Path) -> None:
    folder = corpora_dir / "rocling2023"
    ended = command(
        "score",
        str(folder / "MultiNER-Health_truth_FT.txt"),
        str(folder / "reference_run" / "FT_result.txt"),
    )
    assert ended.code == 0, ended.text
    printed = (folder / "reference_run" / "FT_result_Score.txt").read_text(encoding="utf-8")
    assert ended.out.split() == printed.split()
    assert "FB1:  61.08" in ended.out


def test_a_run_s_submission_scores_as_the_run(command, finished_run: Path) -> None:
    words = [
        word
        for genre in ("FT", "SM", "WA")
        for word in (
            "--genre",
            genre,
            str(SAMPLE / f"test_{genre}.txt"),
            str(finished_run / "submission" / f"{genre}.txt"),
        )
    ]
    ended = command("score", *words, "--json", "-")
    assert ended.code == 0, ended.text
    scores = json.loads(ended.out)
    metrics = json.loads((finished_run / "metrics.json").read_text(encoding="utf-8"))
    for figure in ("precision", "recall", "f1"):
        assert scores["macro"][figure] == pytest.approx(metrics[f"test/{figure}"], abs=1e-9)
    for genre, found in scores["genres"].items():
        for type_, figures in found["per_type"].items():
            name = f"test/{genre}/{type_}/f1"
            assert figures["f1"] == pytest.approx(metrics[name], abs=1e-9)
    table = command("score", *words)
    assert re.search(rf"{scores['macro']['f1']:.1f}", table.out)


def test_stats_of_the_sample_are_json(command, tmp_path: Path) -> None:
    file = tmp_path / "stats.json"
    ended = command("stats", "dataset=sample", "--json", str(file), "dataset.genres=[FT,WA]")
    assert ended.code == 0, ended.text
    stats = json.loads(file.read_text(encoding="utf-8"))
    assert set(stats) == {"train", "test"}
    assert set(stats["test"]) == {"FT", "WA", "all"}
    for row in stats["test"].values():
        assert set(row) == {
            "sentences", "sentences_with_entity", "sentences_without_entity", "characters",
            "entities", "official_chunks", "types", "ceilings",
        }  # fmt: skip
        with_entity, without = row["sentences_with_entity"], row["sentences_without_entity"]
        assert with_entity + without == row["sentences"]
        assert sum(row["types"].values()) == row["entities"] == row["official_chunks"]
        assert set(row["ceilings"]) == {"longest_first", "all_occurrences", "first", "in_order"}
    both = stats["test"]
    assert both["all"]["entities"] == both["FT"]["entities"] + both["WA"]["entities"]


def test_stats_of_rocling2023_are_design_s(command, corpora_dir: Path) -> None:
    ended = command(
        "stats", "dataset=rocling2023", f"paths.data={corpora_dir}", "dataset.genres=[FT,WA]",
        "dataset.healthner_part=test", "--json", "-",
    )  # fmt: skip
    assert ended.code == 0, ended.text
    test = json.loads(ended.out)["test"]
    assert (test["FT"]["entities"], test["FT"]["official_chunks"]) == (10_845, 10_849)
    rounded = {genre: [round(f1, 2) for f1 in test[genre]["ceilings"].values()] for genre in test}
    assert sorted(rounded["FT"]) == sorted([99.21, 94.94, 91.54, 99.73])
    assert sorted(rounded["WA"]) == sorted([99.70, 95.45, 94.95, 99.96])
