"""Leaderboards: which runs make one row, what is best, how often a test set was looked at."""

import json
from collections.abc import Mapping
from itertools import count

import pytest

from chmed_ner.errors import InputError
from chmed_ner.report.leaderboard.entries import (
    PublishedRow,
    ScoredRun,
    looks,
    published_rows,
    rows_for,
    scored_runs,
)
from chmed_ner.report.leaderboard.rows import DEFAULT_GROUPS, boards, check_groups, shortened
from chmed_ner.report.leaderboard.tables import as_csv, board_records, board_table, latex, markdown
from chmed_ner.track import TrackedRun

NUMBERS = count(1)
TAGS = {
    "backbone": "big", "method": "generative", "regime": "lora", "prompt": "extraction",
    "dataset": "two", "restoration": "longest_first", "partial": "false",
}  # fmt: skip


def tracked(
    f1: float = 50.0,
    *,
    seed: int = 13,
    status: str = "FINISHED",
    tags: Mapping[str, str] = {},
    params: Mapping[str, str] = {},
    genres: Mapping[str, float] | None = None,
) -> TrackedRun:
    number = next(NUMBERS)
    found = {"FT": f1, "WA": f1} if genres is None else genres
    return TrackedRun(
        run_id=f"run{number}",
        name=f"name{number}",
        experiment="tried",
        status=status,
        started=number,
        tags={**TAGS, "seed": str(seed), "config_hash": f"hash{number}", **tags},
        params={"seed": str(seed), "limit.test": "None", "paths.data": f"/{number}", **params},
        metrics={
            "test/f1": f1,
            "test/f1_low": f1 - 1,
            "test/f1_high": f1 + 2,
            "test/precision": f1,
            "test/recall": f1,
            **{f"test/{genre}/f1": value for genre, value in found.items()},
        },
    )


def scored(f1: float = 50.0, *, trained: Mapping[str, str] = {"train": "a"}, **given) -> ScoredRun:
    run = tracked(f1, **given)
    return ScoredRun(run, dict(trained), {"gold": "b"}, config=run.params)


def test_runs_that_differ_in_their_seed_alone_are_one_row() -> None:
    runs = [scored(50, seed=1), scored(54, seed=2), scored(70, seed=3, tags={"backbone": "small"})]
    (board,), left_out = boards(runs)
    assert (board.title, left_out) == ("two (FT, WA)", {})
    best, both = board.rows
    assert (best.name, both.name) == ("small / lora / extraction", "big / lora / extraction")
    assert both.figure("test/f1") == (52, pytest.approx(8**0.5))
    assert best.figure("test/f1") == (70, None)
    assert both.figure("time/none") is None
    _, row = board_table(board, board_records(board, [])).cells.to_dict("records")
    assert (row["f1"], row["interval"], row["runs"]) == ("52.00 ± 2.83", "51.00–54.00", "2")
    assert board_records(board, [])["seeds"].tolist() == ["3", "1 2"]


def test_a_setting_without_chance_has_no_deviation() -> None:
    runs = [scored(50, seed=1), scored(50, seed=2)]
    runs[0].run.metrics["test/f1_low"] = 48.9  # resampled by the seed
    (board,), _ = boards(runs)
    assert board.rows[0].figure("test/f1") == (50, None)
    (row,) = board_table(board, board_records(board, [])).cells.to_dict("records")
    assert (row["f1"], row["runs"]) == ("50.00", "2")
    other = scored(50, seed=2, genres={"FT": 40, "WA": 60})
    (board,), _ = boards([runs[0], other])
    assert board.rows[0].figure("test/f1") == (50, 0)


def test_rows_are_named_in_figures_by_what_tells_them_apart() -> None:
    (board,), _ = boards([scored(50), scored(60, tags={"regime": "few_shot"})])
    said, rows = shortened(board.rows)
    assert (said, [row.name for row in rows]) == ("big / extraction", ["few_shot", "lora"])
    (board,), _ = boards([scored(50)])
    assert shortened(board.rows)[1][0].name == "big / lora / extraction"


def test_settings_are_never_mixed_into_one_spread() -> None:
    runs = [
        scored(f1, params={"regime.learning_rate": str(rate)}) for f1, rate in ((50, 1), (60, 2))
    ]
    (board,), _ = boards(runs, by=("backbone",))
    assert [row.name for row in board.rows] == [
        "big (regime.learning_rate=2)",
        "big (regime.learning_rate=1)",
    ]
    other_data = [scored(50), scored(60, trained={"train": "c"})]
    (board,), _ = boards(other_data)
    assert [len(row.runs) for row in board.rows] == [1, 1]
    assert board.rows[0].differs == {"data": "b+c"}


def test_an_option_stands_for_its_keys() -> None:
    runs = [
        scored(50, tags={"prompt": "bio"}, params={"prompt.stop": "x", "prompt.name": "bio"}),
        scored(60, params={"prompt.name": "extraction"}),
    ]
    (board,), _ = boards(runs, by=("backbone", "dataset"))
    assert [row.name for row in board.rows] == ["big (prompt=extraction)", "big (prompt=bio)"]


def test_of_a_setting_and_seed_the_newest_run_counts() -> None:
    (board,), left_out = boards([scored(50), scored(40)])
    assert [row.figure("test/f1").mean for row in board.rows] == [40]
    assert sum(left_out.values()) == 1


def test_other_test_sentences_are_another_board() -> None:
    runs = [scored(50), scored(60, genres={"FT": 60})]
    runs.append(ScoredRun(tracked(70), {}, {"gold": "revised"}))
    runs += [scored(55, seed=seed, params={"limit.test": "9"}) for seed in (1, 2)]
    found, _ = boards(runs)
    assert [board.title for board in found if board.limited] == [
        "two, limit.test=9 of seed 1 (FT, WA)",
        "two, limit.test=9 of seed 2 (FT, WA)",
    ]
    assert [board.title for board in found if not board.limited] == [
        "two (FT)",
        "two, b (FT, WA)",
        "two, revised (FT, WA)",
    ]


def test_which_runs_can_be_shown() -> None:
    files = {"test_files": {"gold": "b"}, "training_files": {"train": "a"}}
    record = json.dumps({**files, "config": {"seed": 1}})
    good, unscored, lost = tracked(), tracked(), tracked()
    bare = TrackedRun(**{**vars(unscored), "metrics": {"train/loss": 1.0}})
    runs = [good, bare, lost, tracked(status="FAILED"), tracked(status="RUNNING")]
    found, left_out = scored_runs(runs, lambda run, _: None if run is lost else record)
    assert [run.run for run in found] == [good]
    assert left_out == {
        "FAILED": 1, "RUNNING": 1, "without test scores": 1, "without their run.json": 1,
    }  # fmt: skip


def test_looks_count_tuned_settings() -> None:
    again = scored(tags={"config_hash": "same"})
    runs = [
        again,
        scored(tags={"config_hash": "same"}),
        scored(),
        scored(trained={}),
        scored(trained={}, tags={"method": "file"}),
    ]
    (found,) = looks(runs).to_dict("records")
    assert found == {"file": "gold", "sha256": "b", "tuned": 2, "all": 4, "files": 1}


def test_bold_is_for_the_best_that_may_be_compared() -> None:
    runs = [
        scored(50),
        scored(60, tags={"backbone": "small", "partial": "true"}),
        scored(70, tags={"backbone": "cheat"}, trained={"x": "b"}),
    ]
    rows = [
        PublishedRow("top", "paper", 90.0, "not", "another metric"),
        PublishedRow("next", "paper", 65.0, "fully", genres={"FT": 64.0, "WA": 66.0}),
    ]
    (board,), _ = boards(runs)
    records = board_records(board, rows)
    found = board_table(board, records)
    assert [name.split(" ")[0] for name in found.cells["system"]] == [
        "cheat", "next", "small", "big", "top",
    ]  # fmt: skip
    assert found.bold.any(axis=1).tolist() == [False, True, False, True, False]
    assert found.cells["remark"][0] == "在此測試集上調過"
    assert found.cells["remark"][2] == "部分資料"
    text = markdown(found)
    assert "| next | paper |  | **65.00** |  | **64.00** | **66.00** |" in text
    assert "**50.00**" in text
    assert "**60.00**" not in text
    assert {line.count("|") for line in text.splitlines()} == {len(found.heads) + 1}
    assert "\\textbf{65.00}" in latex(found)
    assert "\\midrule\ntop & paper" in latex(found)
    table = as_csv([records], board.genres, DEFAULT_GROUPS).splitlines()
    assert table[0].startswith("dataset,source,system,backbone,method,regime,prompt,differs,runs")
    assert len(table) == 6


def test_cells_mean_nothing_in_markdown_and_latex() -> None:
    bad = "a|b_*<i>&%$#{}~^\\[x]"
    (board,), _ = boards([scored(tags={"backbone": bad, "regime": "none", "prompt": "none"})])
    found = board_table(board, board_records(board, []))
    assert r"| a\|b\_\*\<i\>&%$#{}\~^\\\[x\] | 本框架 |" in markdown(found)
    assert r"a|b\_*<i>\&\%\$\#\{\}\textasciitilde{}\textasciicircum{}" in latex(found)


def test_published_rows_of_some_genres() -> None:
    rows = {"two": (("FT", "SM", "WA"), [
        PublishedRow("whole", "s", 60.0, "fully"),
        PublishedRow("parts", "s", 60.0, "fully", genres={"FT": 50.0, "SM": 60.0, "WA": 71.0}),
    ])}  # fmt: skip
    whole, parts = rows_for(rows, "two", ("FT", "WA"))
    assert (whole.comparable, whole.f1, whole.remark) == ("not", 60.0, "F1 over FT, SM, WA")
    assert (parts.comparable, parts.f1, parts.computed) == ("fully", 60.5, True)
    assert rows_for(rows, "two", ("WA", "SM", "FT")) == rows["two"][1]
    assert rows_for(rows, "other", ("FT",)) == []
    sampled = rows_for(rows, "two", ("FT", "WA"), limited=True)
    assert [row.comparable for row in sampled] == ["not", "not"]


def test_the_published_rows_are_whole() -> None:
    found = published_rows()
    assert {name: len(rows) for name, (_, rows) in found.items()} == {
        "rocling2023": 12, "rocling2022": 13, "healthner": 1,
    }  # fmt: skip
    for genres, rows in found.values():
        for row in rows:
            assert set(row.genres) in (set(), set(genres))
            if row.genres:
                mean = sum(row.genres.values()) / len(genres)
                assert row.f1 == pytest.approx(mean, abs=0.011), row
            assert row.comparable == "fully" or row.remark


def test_bad_published_rows_and_groups_are_named(tmp_path) -> None:
    file = tmp_path / "published.yaml"
    for row, message in (
        ("{system: a, source: b, f1: 1, comparable: maybe}", "two, a: comparable is 'maybe'"),
        ("{system: a, source: b, f1: 1, comparable: not, x: 1}", "'x'"),
    ):
        file.write_text(f"two: {{genres: [FT], rows: [{row}]}}\n", encoding="utf-8")
        with pytest.raises(InputError, match=message):
            published_rows(file)
    with pytest.raises(InputError, match=r"--by colour.*backbone"):
        check_groups(["colour"])
