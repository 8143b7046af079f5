"""The leaderboard as one self-contained page: tables and figures, nothing to run or fetch."""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chmed_ner.files import replacing
from chmed_ner.report.pages.document import closing, opening
from chmed_ner.report.pages.html_table import html_table
from chmed_ner.report.pages.style import style_sheet
from chmed_ner.report.pages.visible import visible

WORDS = ("system", "source", "comparable", "remark")
"""The columns of words: they stand on the left and may be broken into lines."""

LONG = 16
"""Characters; words of more keep room for this many in a line."""


@dataclass(frozen=True)
class Section:
    """A board: its grid as (cells, bold columns, whether it is ours), its figures by file name."""

    title: str
    header: Sequence[str]
    lines: Sequence[tuple[Sequence[str], Collection[int], bool]]
    pictures: Mapping[str, bytes]
    notes: Sequence[str]


def write_leaderboard_page(
    path: Path,
    sections: Sequence[Section],
    *,
    notes: Sequence[str],
    looks: Sequence[Sequence[str]],
) -> None:
    """Write the page to `path`, atomically. `looks`: test file, checksum, and three counts."""
    with replacing(path) as file:
        file.write(opening("Leaderboard", style_sheet(0)))
        file.writelines(f"<p>{visible(note)}</p>\n" for note in notes)
        for section in sections:
            file.write(f"<h2>{visible(section.title)}</h2>\n{_table(section)}")
            file.writelines(_picture(name, png) for name, png in section.pictures.items())
            file.writelines(f'<p class="quiet">{visible(note)}</p>\n' for note in section.notes)
        columns = ["test file", "SHA-256", "tuned settings", "all settings", "from files"]
        rows = [(visible(row[0]), [visible(cell) for cell in row[1:]]) for row in looks]
        file.write("<h2>How often each test set was scored</h2>\n")
        file.write(html_table("settings scored on each test file", columns, rows) + closing())


def _table(section: Section) -> str:
    """The grid as HTML, without the columns in which no row says anything."""
    kept = [
        number
        for number, head in enumerate(section.header)
        if any(cells[number] for cells, _, _ in section.lines)
    ]
    header = [_cell(section.header[number], section.header[number]) for number in kept]
    rows = []
    for cells, bold, ours in section.lines:
        shown = [_cell(section.header[n], cells[n], bold=n in bold) for n in kept]
        name = f'<span class="{"ours" if ours else "quiet"}">{shown[0]}</span>'
        rows.append((name, shown[1:]))
    return f'<div class="board">{html_table("F1 in percent", header, rows)}</div>\n'


def _cell(head: str, text: str, *, bold: bool = False) -> str:
    """A cell of the column `head`: a spread small behind its mean, words where words stand."""
    if head in WORDS:
        room = " long" if len(text) > LONG else ""
        return f'<span class="words{room}">{visible(text)}</span>'
    mean, sign, spread = visible(text).partition(" ± ")
    shown = f"<b>{mean}</b>" if bold else mean
    return f"{shown} <small>± {spread}</small>" if sign else shown


def _picture(name: str, png: bytes) -> str:
    encoded = base64.b64encode(png).decode()
    what = name.removesuffix(".png").replace("_", " ")
    return f'<p><img src="data:image/png;base64,{encoded}" alt="{what}"></p>\n'
