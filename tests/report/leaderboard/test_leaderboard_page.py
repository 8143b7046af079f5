"""The leaderboard's page and figures: nothing cut off, nothing hard to read."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pandas import DataFrame
from PIL import Image

from chmed_ner.report.analysis.error_bars import KIND_STYLES
from chmed_ner.report.analysis.figures import SAME_CONTRAST, luminance
from chmed_ner.report.leaderboard.charts import bars_figure, lines_figure
from chmed_ner.report.leaderboard.entries import looks
from chmed_ner.report.leaderboard.figures import MOST, Drawn
from chmed_ner.report.leaderboard.page import write_leaderboard_page
from chmed_ner.report.leaderboard.tables import BoardTable

COLUMNS = ("system", "source", "runs", "f1", "comparable", "remark")
OURS = ("crf <b>", "ours", "3", "65.37 ± 1.10", "", "")
TEAM = ("a team", "a paper", "", "70.00", "partly", "")
PLACES = {"1–20": 0.0}
OTHER = ("another team", "a paper", "", "90.00", "not", "")


def page(path: Path, *lines: tuple[str, ...]) -> str:
    """The page of one board; the F1 of ours is bold."""
    cells = DataFrame(lines, columns=COLUMNS)
    bold = DataFrame(False, index=cells.index, columns=COLUMNS)
    bold.loc[cells["source"] == "ours", "f1"] = True
    runs = [[("1", "a"), ("2", "b"), ("3", "c")] if line[1] == "ours" else [] for line in lines]
    ours = [line[1] == "ours" for line in lines]
    above = sum(line[4] != "not" for line in lines)
    boards = [(BoardTable("a board", cells, bold, ours, runs, above), Drawn())]
    reports = {"a": path.parent / "runs" / "a #1" / "report.html", "c": path.parent / "c.html"}
    write_leaderboard_page(path, boards, reports, notes=[], looks=looks([]))
    return path.read_text(encoding="utf-8")


def test_columns_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    alone = page(tmp_path / "a.html", OURS)
    assert ">可比<" not in alone
    assert ">備註<" not in alone
    both = page(tmp_path / "b.html", OURS, TEAM)
    assert ">可比<" in both
    assert ">partly<" in both
    assert ">備註<" not in both


def test_ours_stand_out_and_a_spread_is_small(tmp_path: Path) -> None:
    text = page(tmp_path / "a.html", OURS, TEAM)
    assert "<td><b>65.37</b> <small>± 1.10</small></td>" in text
    assert '<span class="words">crf &lt;b&gt;</span>' in text
    assert '<span class="quiet"><span class="words">a team</span></span>' in text


def test_rows_lead_to_the_reports_of_their_runs(tmp_path: Path) -> None:
    text = page(tmp_path / "a.html", OURS, TEAM)
    first = '<a href="runs/a%20%231/report.html">'
    assert f'<span class="ours">{first}<span class="words">crf &lt;b&gt;</span></a>' in text
    assert f'3 <small>({first}1</a> <a href="c.html">3</a>)</small>' in text
    assert text.count("<a href") == 3


def test_what_cannot_be_compared_stands_below_a_line(tmp_path: Path) -> None:
    text = page(tmp_path / "a.html", OURS, TEAM, OTHER)
    assert text.count('<span class="quiet line"><span class="words">another team') == 1
    assert text.count(" line") == 1
    assert " line" not in page(tmp_path / "b.html", OURS, TEAM).partition("</style>")[2]


def test_bars_of_many_systems_are_no_wider_than_the_page() -> None:
    types = dict.fromkeys("ABCDEFGHIJ", 50.0)
    drawn = bars_figure(("F1", ""), {f"system {n}": types for n in range(MOST)}, list(types))
    assert Image.open(BytesIO(drawn["png"])).width <= 1180


def test_legends_leave_room_for_what_is_drawn() -> None:
    systems = {f"regime.learning_rate={n}e-4": {"1–20": 50.0} for n in range(MOST)}
    heights = [
        Image.open(BytesIO(lines_figure(("F1", ""), "", shown, PLACES)["png"])).height
        for shown in (dict([*systems.items()][:1]), systems)
    ]
    assert heights[1] < 1.2 * heights[0]


@pytest.mark.parametrize(
    ("colour", "expected"), [("#000000", 0.0), ("#ffffff", 1.0), ("#808080", 0.2159)]
)
def test_luminance(colour: str, expected: float) -> None:
    assert luminance(rgb(colour)) == pytest.approx(expected, abs=1e-4)


def test_numbers_can_be_read_on_every_colour() -> None:
    dark = luminance(rgb("#16191d"))
    for grey in np.linspace(0, 1, 101):
        ground = luminance(np.array([grey, grey, grey]))
        assert contrast(ground, 1.0 if ground < SAME_CONTRAST else dark) > 4
    for name, ground_colour, text in KIND_STYLES:
        on = luminance(rgb({"white": "#ffffff"}.get(text, text)))
        assert contrast(luminance(rgb(ground_colour)), on) >= 4.5, name


def rgb(colour: str) -> np.ndarray:
    """Three values from 0 to 1."""
    return np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])


def contrast(one: float, other: float) -> float:
    """The contrast ratio of two luminances (WCAG 2)."""
    low, high = sorted((one, other))
    return (high + 0.05) / (low + 0.05)
