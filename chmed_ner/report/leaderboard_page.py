"""The leaderboard as one self-contained page: tables and figures, nothing to run or fetch."""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chmed_ner.files import replacing
from chmed_ner.report.document import closing, opening
from chmed_ner.report.html_table import html_table
from chmed_ner.report.style import style_sheet
from chmed_ner.report.visible import visible

WORDS = ("system", "source", "remark")
"""The columns of words: they may be broken into lines."""


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
    rows = []
    for cells, bold, ours in section.lines:
        shown = [
            f"<b>{visible(cell)}</b>" if number in bold else visible(cell)
            for number, cell in enumerate(cells)
        ]
        shown = [
            f'<span class="words">{cell}</span>' if head in WORDS else cell
            for head, cell in zip(section.header, shown, strict=True)
        ]
        name = shown[0] if ours else f'<span class="quiet">{shown[0]}</span>'
        rows.append((name, shown[1:]))
    return html_table("F1 in percent", [visible(name) for name in section.header], rows)


def _picture(name: str, png: bytes) -> str:
    encoded = base64.b64encode(png).decode()
    what = name.removesuffix(".png").replace("_", " ")
    return f'<p><img src="data:image/png;base64,{encoded}" alt="{what}"></p>\n'
