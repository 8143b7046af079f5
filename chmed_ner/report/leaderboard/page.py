"""The leaderboard as one self-contained page: tables and figures, nothing to run or fetch."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chmed_ner.files import replacing
from chmed_ner.report.leaderboard.figures import Drawn
from chmed_ner.report.leaderboard.tables import OURS, WORDS, BoardTable
from chmed_ner.report.pages.document import closing, html_table, opening, visible

if TYPE_CHECKING:
    from pandas import DataFrame

LONG = 16
"""Characters; words of more keep room for this many in a line."""


def write_leaderboard_page(
    path: Path,
    boards: Sequence[tuple[BoardTable, Drawn]],
    *,
    notes: Sequence[str],
    looks: "DataFrame",
) -> None:
    """Write the page to `path`, atomically, with what `runs.looks` found."""
    with replacing(path) as file:
        file.write(opening("Leaderboard"))
        file.writelines(f"<p>{visible(note)}</p>\n" for note in notes)
        for table, drawn in boards:
            file.write(f"<h2>{visible(table.title)}</h2>\n{_table(table)}")
            file.writelines(_picture(name, png) for name, png in drawn.pictures.items())
            file.writelines(f'<p class="quiet">{visible(note)}</p>\n' for note in drawn.notes)
        columns = ["test file", "SHA-256", "tuned settings", "all settings", "from files"]
        rows = [
            (visible(name), [visible(digest[:12]), *map(str, counts)])
            for name, digest, *counts in looks.to_numpy().tolist()
        ]
        file.write("<h2>How often each test set was scored</h2>\n")
        file.write(html_table("settings scored on each test file", columns, rows) + closing())


def _table(table: BoardTable) -> str:
    """The table as HTML, without the columns in which no row says anything."""
    heads = dict(zip(table.cells.columns, table.heads, strict=True))
    kept = [name for name in heads if table.cells[name].any()]
    rows = []
    for number, cells in table.cells.iterrows():
        shown = [_cell(name, cells[name], bold=table.bold.at[number, name]) for name in kept]
        kind = "ours" if cells["source"] == OURS else "quiet"
        rows.append((f'<span class="{kind}">{shown[0]}</span>', shown[1:]))
    header = [_cell(name, heads[name]) for name in kept]
    return f'<div class="board">{html_table("F1 in percent", header, rows)}</div>\n'


def _cell(column: str, text: str, *, bold: bool = False) -> str:
    """A cell of a column: a spread small after its mean, words in the columns of words."""
    if column in WORDS:
        room = " long" if len(text) > LONG else ""
        return f'<span class="words{room}">{visible(text)}</span>'
    mean, sign, spread = visible(text).partition(" ± ")
    shown = f"<b>{mean}</b>" if bold else mean
    return f"{shown} <small>± {spread}</small>" if sign else shown


def _picture(name: str, png: bytes) -> str:
    encoded = base64.b64encode(png).decode()
    what = name.removesuffix(".png").replace("_", " ")
    return f'<p><img src="data:image/png;base64,{encoded}" alt="{what}"></p>\n'
