"""The leaderboard's page: tables whose rows lead to the reports of their runs, and the figures."""

import base64
import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from chmed_ner.files import replacing
from chmed_ner.report.leaderboard.figures import Drawn
from chmed_ner.report.leaderboard.tables import WORDS, BoardTable
from chmed_ner.report.pages.document import closing, html_table, opening, visible
from chmed_ner.report.words import say

if TYPE_CHECKING:
    from pandas import DataFrame

LOOKS_TITLE = "How often each test set was scored"
LOOKS = ("test file", "SHA-256", "tuned settings", "all settings", "from files")
LONG = 16
"""Characters; words of more keep room for this many in a line."""
WIDE = 640
"""Pixels; a picture of more has a line of its own."""


def write_leaderboard_page(
    path: Path,
    boards: Sequence[tuple[BoardTable, Drawn]],
    reports: Mapping[str, Path],
    *,
    notes: Sequence[str],
    looks: "DataFrame",
) -> None:
    """Write the page, nothing to run or fetch, atomically, with what `entries.looks` found; its
    rows link to the `reports` of their runs, by run id, by relative addresses."""
    links = {
        run: quote(Path(os.path.relpath(report, path.parent)).as_posix())
        for run, report in reports.items()
    }
    with replacing(path) as file:
        file.write(opening(say("Leaderboard")))
        for table, drawn in boards:
            file.write(f"<h2>{visible(table.title)}</h2>\n{_table(table, links)}")
            file.write(_pictures(drawn))
            file.writelines(f'<p class="quiet">{visible(note)}</p>\n' for note in drawn.notes)
        file.writelines(f'<p class="quiet">{visible(note)}</p>\n' for note in notes)
        rows = [(visible(name), [*map(visible, rest)]) for name, *rest in look_rows(looks)]
        file.write(f"<h2>{say(LOOKS_TITLE)}</h2>\n")
        table_ = html_table(say("Settings scored on each test file"), [*map(say, LOOKS)], rows)
        file.write(table_ + closing())


def look_rows(looks: "DataFrame") -> list[list[str]]:
    """What `entries.looks` found, a row a file, as text."""
    found = looks.to_numpy().tolist()
    return [[name, digest[:12], *map(str, counts)] for name, digest, *counts in found]


def _table(table: BoardTable, links: Mapping[str, str]) -> str:
    """The table as HTML, without the columns in which no row says anything."""
    heads = dict(zip(table.cells.columns, table.heads, strict=True))
    kept = [name for name in heads if table.cells[name].any()]
    rows = []
    for number, cells in table.cells.iterrows():
        shown = {name: _cell(name, cells[name], bold=table.bold.at[number, name]) for name in kept}
        known = [(seed, links[run]) for seed, run in table.runs[number] if run in links]
        if known:
            shown["system"] = f'<a href="{known[0][1]}">{shown["system"]}</a>'
        if len(known) > 1:
            seeds = " ".join(f'<a href="{link}">{html.escape(seed)}</a>' for seed, link in known)
            shown["runs"] += f" <small>({seeds})</small>"
        kind = "ours" if table.ours[number] else "quiet"
        line = " line" if number == table.above else ""
        name, *rest = shown.values()
        rows.append((f'<span class="{kind}{line}">{name}</span>', rest))
    header = [_cell(name, heads[name]) for name in kept]
    return f'<div class="board">{html_table(say("F1 in percent"), header, rows)}</div>\n'


def _cell(column: str, text: str, *, bold: bool = False) -> str:
    """A cell of a column: a spread small after its mean, words in the columns of words."""
    if column in WORDS:
        room = " long" if len(text) > LONG else ""
        return f'<span class="words{room}">{visible(text)}</span>'
    mean, sign, spread = visible(text).partition(" ± ")
    shown = f"<b>{mean}</b>" if bold else mean
    return f"{shown} <small>± {spread}</small>" if sign else shown


def _pictures(drawn: Drawn) -> str:
    """The pictures, those that fit beside each other first."""
    shown = []
    for name, pictures in drawn.pictures.items():
        png = pictures["png"]
        encoded = base64.b64encode(png).decode()
        wide = int.from_bytes(png[16:20], "big") > WIDE  # as a PNG's header has it
        place = ' class="wide" tabindex="0"' if wide else ""
        image = f'<img src="data:image/png;base64,{encoded}" alt="{visible(drawn.titles[name])}">'
        shown.append((wide, f"<p{place}>{image}</p>\n"))
    ordered = sorted(shown, key=lambda each: each[0])
    return f'<div class="pictures">\n{"".join(text for _, text in ordered)}</div>\n'
