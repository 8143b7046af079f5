"""`chmed-ner report`: from runs in MLflow to tables and figures."""

import csv
import re
import shutil
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from tests.cli.conftest import SCRIPTED, succeed

FIGURES = {
    "confusion", "f1_by_genre", "f1_by_sentence_length", "f1_by_type",
    "speed_and_f1",
}  # fmt: skip


@pytest.fixture(scope="module")
def reported(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output directory with two seeds, and a limited run."""
    output = tmp_path_factory.mktemp("reported")
    shutil.copy(empty_store, output / "mlflow.db")
    place = f"paths.output={output}"
    succeed("run", "-m", *SCRIPTED, place, "seed=1,2")
    succeed("run", *SCRIPTED, place, "limit.test=2", "experiment=other")
    return output


def test_tables_and_figures(command, reported: Path, tmp_path: Path) -> None:
    place = f"paths.output={reported}"
    ended = command("report", "--out", str(tmp_path / "a"), place)
    assert ended.code == 0, ended.text
    assert "Runs left out: 1 partial (shown by --partial)" in ended.out
    assert "Figure left out: Learning curve" in ended.out
    with (tmp_path / "a" / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["backbone"], row["runs"], row["seeds"]) == ("scripted", "2", "1 2")
    assert row["f1_deviation"] == ""  # the scripted backbone has a seed of its own
    assert float(row["f1_low"]) < float(row["f1_mean"]) < float(row["f1_high"])
    text = (tmp_path / "a" / "leaderboard.md").read_text(encoding="utf-8")
    assert f"**{float(row['f1_mean']):.2f}**" in text
    assert "sample/test\\_FT.txt" in text or "sample/test_FT.txt" in text
    folder = tmp_path / "a" / "sample-FT-SM-WA"
    kinds = ("png", "svg", "pdf")
    assert {path.name for path in folder.iterdir()} == {f"{n}.{k}" for n in FIGURES for k in kinds}
    for path in folder.glob("*.png"):
        assert Image.open(BytesIO(path.read_bytes())).width > 500
    page = (tmp_path / "a" / "leaderboard.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(FIGURES)
    links = re.findall('<a href="([^"]+)">', page)
    assert len(links) == 3  # of the row, and of each seed
    assert all((tmp_path / "a" / unquote(link)).is_file() for link in links)
    assert command("report", "--out", str(tmp_path / "b"), place).code == 0
    for path in (tmp_path / "a").rglob("*.*"):
        again = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == again.read_bytes(), path


def test_partial_runs_and_experiments(command, reported: Path) -> None:
    place = f"paths.output={reported}"
    ended = command("report", "--experiment", "other", place)
    assert ended.code == 2
    assert "1 partial (shown by --partial)" in ended.err
    ended = command("report", "--experiment", "other", "--partial", place)
    assert ended.code == 0, ended.text
    assert "limit.test=2 of seed 13" in ended.out
    assert "(partial)" in ended.out
    assert (reported / "report" / "leaderboard.tex").is_file()


def test_one_language_at_a_time(command, reported: Path, tmp_path: Path) -> None:
    place = f"paths.output={reported}"
    for language in ("zh-Hans", "en"):
        ended = command("report", "--out", str(tmp_path / language), f"language={language}", place)
        assert ended.code == 0, ended.text
    chinese, english = (
        (tmp_path / language / "leaderboard.html").read_text(encoding="utf-8")
        for language in ("zh-Hans", "en")
    )
    assert '<html lang="zh-Hans"' in chinese
    assert "<h1>排行榜</h1>" in chinese
    assert ">本框架<" in chinese
    assert '<html lang="en"' in english
    assert not re.search("[\u3400-\u9fff]", english)
    refused = command("report", "language=fr", place)
    assert (refused.code, "choose en, zh-Hant, zh-Hans" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--experiment", "none"], "chmed_ner, other"),
        (["--by", "backbone,colour"], "--by colour"),
        (["tracking=dry"], "tracking=dry keeps no runs"),
        (["--sync", "--partial"], "uploads only"),
    ],
)
def test_bad_requests_are_refused(command, reported: Path, words: list[str], message: str) -> None:
    ended = command("report", *words, f"paths.output={reported}")
    assert ended.code == 2
    assert message in ended.err


def test_a_file_in_the_way_is_named(command, reported: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    ended = command("report", "--out", str(tmp_path / "file"), f"paths.output={reported}")
    assert (ended.code, "is a file" in ended.err) == (2, True)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
