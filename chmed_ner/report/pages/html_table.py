"""A table as HTML."""

from collections.abc import Sequence

Row = tuple[str, Sequence[str]]
"""The escaped heading of a row and its cells."""


def html_table(caption: str, columns: Sequence[str], rows: Sequence[Row]) -> str:
    """A table that scrolls by keyboard where it is wider than the page; empty without rows."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'
        for name, cells in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0"><table>'
        f"<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}</tbody></table></div>\n"
    )
