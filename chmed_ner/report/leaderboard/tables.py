"""A board as a grid of cells, and the grids as Markdown, LaTeX and CSV."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO

from chmed_ner.report.leaderboard.board import Board, Row
from chmed_ner.report.leaderboard.published import PublishedRow
from chmed_ner.report.leaderboard.seeds import Summary

OURS = "ours"


@dataclass(frozen=True)
class Line:
    """One line of a grid: its cells as text, which of them are bold, F1 to sort by, who made it."""

    cells: tuple[str, ...]
    bold: frozenset[int]
    f1: float
    ours: bool


@dataclass(frozen=True)
class Grid:
    """A board with the published rows beside ours, the best first."""

    title: str
    header: tuple[str, ...]
    lines: tuple[Line, ...]


def grid(board: Board, published: Sequence[PublishedRow]) -> Grid:
    """The grid of a board: figures in percent with two decimals, mean ± deviation over seeds.

    The best of ours and the best of the published rows that can be compared is bold, by column;
    partial runs and those tuned on test data are never.
    """
    genres = board.genres if len(board.genres) > 1 else ()
    names = (*(f"test/{genre}/f1" for genre in genres), "test/precision", "test/recall")
    header = (
        *("system", "source", "seeds", "F1", "95% interval"),
        *genres,
        *("P", "R", "comparable", "remark"),
    )
    figures = {3: "test/f1", **{5 + number: name for number, name in enumerate(names)}}
    best_ours = _best(
        {column: _mean(row.figure(name)) for column, name in figures.items()}
        for row in board.rows
        if not row.partial and not row.trained_on_test
    )
    best_published = _best(
        {3: row.f1, **{5 + n: row.genres.get(genre) for n, genre in enumerate(genres)}}
        for row in published
        if row.comparable != "not"
    )
    lines = [_own(row, figures, best_ours) for row in board.rows]
    lines += [_published(row, genres, best_published) for row in published]
    return Grid(board.title, header, tuple(sorted(lines, key=lambda line: -line.f1)))


def markdown(found: Grid) -> str:
    """The grid as a table of GitHub's Markdown."""

    def row(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |\n"

    numbers = [name not in ("system", "source", "comparable", "remark") for name in found.header]
    body = "".join(
        row(
            f"**{_plain(cell)}**" if number in line.bold else _plain(cell)
            for number, cell in enumerate(line.cells)
        )
        for line in found.lines
    )
    return row(found.header) + row("---:" if right else "---" for right in numbers) + body


def latex(found: Grid) -> str:
    """The grid as a `tabular` with the rules of the package booktabs."""
    columns = "".join(
        "l" if name in ("system", "source", "comparable", "remark") else "r"
        for name in found.header
    )
    body = "".join(
        " & ".join(
            f"\\textbf{{{_tex(cell)}}}" if number in line.bold else _tex(cell)
            for number, cell in enumerate(line.cells)
        )
        + " \\\\\n"
        for line in found.lines
    )
    head = " & ".join(map(_tex, found.header))
    return (
        f"% {' '.join(found.title.split())}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n"
        f"{head} \\\\\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"
    )


def as_csv(boards: Sequence[tuple[Board, Sequence[PublishedRow]]], by: Sequence[str]) -> str:
    """Every board in one table, unrounded: ours with their groups, then the published rows."""
    genres = list(dict.fromkeys(genre for board, _ in boards for genre in board.genres))
    metrics = ["f1", "precision", "recall", *(f"{genre}/f1" for genre in genres)]
    groups = [group for group in by if group != "dataset"]
    header = [
        *("dataset", "source", "system", *groups, "differs", "runs", "seeds", "partial"),
        *(f"{metric}_{part}" for metric in metrics for part in ("mean", "deviation")),
        *("f1_low", "f1_high", "sentences_per_second", "comparable", "remark", "run_ids"),
    ]
    rows: list[dict[str, object]] = []
    for board, published in boards:
        rows += [{"dataset": board.title, **_own_record(row, metrics)} for row in board.rows]
        rows += [{"dataset": board.title, **_published_record(row)} for row in published]
    text = StringIO()
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _own(row: Row, figures: dict[int, str], best: dict[int, float]) -> Line:
    found = {column: row.figure(name) for column, name in figures.items()}
    interval = row.interval()
    cells = [row.name, OURS, str(len(row.runs)), "", _interval(interval)]
    cells += [""] * (len(figures) - 1) + ["", remark(row)]
    for column, each in found.items():
        cells[column] = _figure(each)
    can = not row.partial and not row.trained_on_test
    bold = {column for column, each in found.items() if can and _mean(each) == best.get(column)}
    return Line(tuple(cells), frozenset(bold), _mean(found[3]) or 0.0, ours=True)


def remark(row: Row) -> str:
    """What must be known of a row of ours."""
    said = {"partial": row.partial, "tuned on this test set": row.trained_on_test}
    return "; ".join(text for text, holds in said.items() if holds)


def _published(row: PublishedRow, genres: Sequence[str], best: dict[int, float]) -> Line:
    f1 = f"{row.f1:.2f}" + ("†" if row.computed else "")
    own = {5 + number: row.genres.get(genre) for number, genre in enumerate(genres)}
    cells = (
        *(row.system, row.source, "", f1, ""),
        *("" if value is None else f"{value:.2f}" for value in own.values()),
        *("", "", row.comparable, row.remark),
    )
    can = row.comparable != "not"
    bold = {c for c, value in {3: row.f1, **own}.items() if can and value == best.get(c)}
    return Line(cells, frozenset(bold), row.f1, ours=False)


def _own_record(row: Row, metrics: Sequence[str]) -> dict[str, object]:
    record: dict[str, object] = {
        **{group: value for group, value in row.group.items() if group != "dataset"},
        "source": OURS,
        "system": row.name,
        "differs": "; ".join(f"{key}={value}" for key, value in row.differs.items()),
        "runs": len(row.runs),
        "seeds": " ".join(row.seeds),
        "partial": str(row.partial).lower(),
        "remark": remark(row),
        "run_ids": " ".join(run.run.run_id for run in row.runs),
    }
    for metric in metrics:
        if (found := row.figure(f"test/{metric}")) is not None:
            record[f"{metric}_mean"] = found.mean
            record[f"{metric}_deviation"] = "" if found.deviation is None else found.deviation
    if (interval := row.interval()) is not None:
        record["f1_low"], record["f1_high"] = interval
    if (speed := row.figure("time/sentences_per_second")) is not None:
        record["sentences_per_second"] = speed.mean
    return record


def _published_record(row: PublishedRow) -> dict[str, object]:
    return {
        "source": row.source,
        "system": row.system,
        "f1_mean": row.f1,
        **{f"{genre}/f1_mean": f1 for genre, f1 in row.genres.items()},
        "comparable": row.comparable,
        "remark": "; ".join(
            filter(None, ("F1 computed from the genres" if row.computed else "", row.remark))
        ),
    }


def _best(rows: Iterable[dict[int, float | None]]) -> dict[int, float]:
    best: dict[int, float] = {}
    for row in rows:
        for column, value in row.items():
            if value is not None:
                best[column] = max(value, best.get(column, value))
    return best


def _mean(found: Summary | None) -> float | None:
    return None if found is None else found.mean


def _figure(found: Summary | None) -> str:
    if found is None:
        return ""
    spread = "" if found.deviation is None else f" ± {found.deviation:.2f}"
    return f"{found.mean:.2f}{spread}"


def _interval(found: tuple[float, float] | None) -> str:
    return "" if found is None else f"{found[0]:.2f}–{found[1]:.2f}"


def _plain(cell: str) -> str:
    """A cell whose characters mean nothing in Markdown."""
    return re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", cell)


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "–": "--", "†": r"\dag{}", "…": r"\dots{}",
}  # fmt: skip


def _tex(cell: str) -> str:
    return "".join(_TEX.get(character, character) for character in cell)
