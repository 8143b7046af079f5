"""A board as a table with named columns: unrounded, as text, as Markdown, LaTeX and CSV."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chmed_ner.files import markdown_table
from chmed_ner.report.leaderboard.entries import PublishedRow
from chmed_ner.report.leaderboard.rows import Board, LeaderboardRow
from chmed_ner.report.words import say

if TYPE_CHECKING:
    from pandas import DataFrame

OURS = "ours"
"""The source of our rows."""
NOT_COMPARABLE = "not"
"""What `comparable` says of rows that stand below a line."""
WORDS = ("system", "source", "comparable", "remark")
"""The columns of words, all others hold numbers."""

_HEADS = {
    "system": "system",
    "source": "source",
    "runs": "seeds",
    "f1": "F1",
    "interval": "95% interval",
    "precision": "P",
    "recall": "R",
    "comparable": "comparable",
    "remark": "remark",
}


@dataclass(frozen=True)
class BoardTable:
    """A board as text, the best row first; `bold` says of each cell whether it is the best, `ours`
    of each row whether it is ours, `runs` has the (seed, run id) of its runs. The first `above`
    rows stand above the line: the others cannot be compared."""

    title: str
    cells: "DataFrame"
    bold: "DataFrame"
    ours: Sequence[bool]
    runs: Sequence[Sequence[tuple[str, str]]]
    above: int

    @property
    def heads(self) -> list[str]:
        """What is written above the columns."""
        return [
            say(_HEADS[name]) if name in _HEADS else name.removesuffix("/f1")
            for name in self.cells.columns
        ]

    @property
    def alignment(self) -> str:
        """A letter a column: `l` for words, `r` for numbers."""
        return "".join("l" if name in WORDS else "r" for name in self.cells.columns)

    def marked(self, escape: Callable[[str], str], bold: str) -> list[list[str]]:
        """The cells, escaped; the best ones in the place of `{}` in `bold`."""
        rows = zip(self.cells.to_numpy(), self.bold.to_numpy(), strict=True)
        return [
            [
                bold.replace("{}", escape(cell)) if best else escape(cell)
                for cell, best in zip(cells, bests, strict=True)
            ]
            for cells, bests in rows
        ]


def board_records(board: Board, published: Sequence[PublishedRow]) -> "DataFrame":
    """The rows of a board, unrounded: ours, then the published ones.

    Columns of leaderboard.csv, and `rankable` (may be the best), `computed` (its F1, by us).
    """
    from pandas import DataFrame

    metrics = _metrics(board.genres)
    ours = [_own_record(row, metrics) for row in board.rows]
    theirs = [_published_record(row) for row in published]
    found = DataFrame([{"dataset": board.title, **record} for record in (*ours, *theirs)])
    return found.reindex(columns=list({*found.columns, *_columns(metrics)}))


def board_table(board: Board, records: "DataFrame") -> BoardTable:
    """A board as text: percent with two decimals, mean ± deviation over seeds; the published rows
    that cannot be compared come last.

    The best of ours and the best of the published rows that can be compared is bold, by column.
    """
    from pandas import DataFrame

    genres = board.genres if len(board.genres) > 1 else ()
    figures = ("f1", *(f"{genre}/f1" for genre in genres), "precision", "recall")
    found = records.assign(below=records["comparable"] == NOT_COMPARABLE).sort_values(
        ["below", "f1_mean"], ascending=[True, False], kind="stable", ignore_index=True
    )
    shown = {
        name: list(map(_figure, found[f"{name}_mean"], found[f"{name}_deviation"]))
        for name in figures
    }
    shown["f1"] = [
        f"{text}†" if computed else text
        for text, computed in zip(shown["f1"], found["computed"], strict=True)
    ]
    shown["interval"] = list(map(_interval, found["f1_low"], found["f1_high"]))
    columns = ["system", "source", "runs", "f1", "interval", *figures[1:], "comparable", "remark"]
    cells = found.assign(**shown)[columns].astype(object)
    bold = DataFrame(False, index=cells.index, columns=columns)
    for side in (found["source"] == OURS, found["source"] != OURS):
        may = found["rankable"] & side
        for name in figures:
            means = found[f"{name}_mean"]
            bold[name] |= may & (means == means[may].max())
    runs = [
        list(zip(str(seeds).split(" "), str(ids).split(" "), strict=True))
        for seeds, ids in zip(found["seeds"].fillna(""), found["run_ids"].fillna(""), strict=True)
    ]
    ours = found["source"] == OURS
    for column, which in (("source", ours), ("remark", ours), ("comparable", ~ours)):
        cells.loc[which, column] = [_said(text) for text in cells.loc[which, column]]
    return BoardTable(
        board.title, cells, bold, ours=ours.tolist(), runs=runs, above=int((~found["below"]).sum())
    )


def _said(text: str) -> str:
    """Our own words in the language that is spoken: one remark, or several."""
    return "; ".join(map(say, text.split("; "))) if text else ""


def markdown(table: BoardTable) -> str:
    """The board as a table of GitHub's Markdown."""
    return markdown_table(table.heads, table.marked(_plain, "**{}**"), table.alignment)


def latex(table: BoardTable) -> str:
    """The board as a `tabular` with the rules of the package booktabs."""
    rows = table.marked(_tex, "\\textbf{{}}")
    head, *body = (f"{' & '.join(row)} \\\\\n" for row in (map(_tex, table.heads), *rows))
    if table.above < len(body):
        body.insert(table.above, "\\midrule\n")
    return (
        f"% {' '.join(table.title.split())}\n\\begin{{tabular}}{{{table.alignment}}}\n\\toprule\n"
        f"{head}\\midrule\n{''.join(body)}\\bottomrule\n\\end{{tabular}}\n"
    )


def as_csv(boards: Sequence["DataFrame"], genres: Sequence[str], by: Sequence[str]) -> str:
    """The records of every board in one table: ours with their groups, then the published rows."""
    from pandas import concat

    header = [
        *("dataset", "source", "system", *(group for group in by if group != "dataset")),
        *("differs", "runs", "seeds", "partial", *_columns(_metrics(genres))),
        *("sentences_per_second", "comparable", "remark", "run_ids"),
    ]
    found = concat(boards, ignore_index=True)
    computed = "F1 computed from the genres; " + found["remark"]
    found["remark"] = found["remark"].where(~found["computed"], computed.str.removesuffix("; "))
    return str(found.reindex(columns=header).to_csv(index=False, lineterminator="\n"))


def _metrics(genres: Sequence[str]) -> list[str]:
    return ["f1", "precision", "recall", *(f"{genre}/f1" for genre in genres)]


def _columns(metrics: Sequence[str]) -> list[str]:
    parts = [f"{metric}_{part}" for metric in metrics for part in ("mean", "deviation")]
    return [*parts, "f1_low", "f1_high"]


def _own_record(row: LeaderboardRow, metrics: Sequence[str]) -> dict[str, Any]:
    figures = {metric: row.figure(f"test/{metric}") for metric in metrics}
    others = ("test/f1_low", "test/f1_high", "time/sentences_per_second")
    return {
        **{group: value for group, value in row.group.items() if group != "dataset"},
        "source": OURS,
        "system": row.name,
        "differs": "; ".join(f"{key}={value}" for key, value in row.differs.items()),
        "runs": str(len(row.runs)),
        "seeds": " ".join(run.seed for run in row.runs),
        "partial": str(row.partial).lower(),
        **{f"{metric}_mean": found.mean for metric, found in figures.items() if found},
        **{f"{metric}_deviation": found.deviation for metric, found in figures.items() if found},
        **row.means({each.split("/")[1]: each for each in others}),
        "comparable": "",
        "remark": row.remark,
        "run_ids": " ".join(run.run.run_id for run in row.runs),
        "rankable": not row.remark,
        "computed": False,
    }


def _published_record(row: PublishedRow) -> dict[str, Any]:
    return {
        "source": row.source,
        "system": row.system,
        "runs": "",
        "f1_mean": row.f1,
        **{f"{genre}/f1_mean": f1 for genre, f1 in row.genres.items()},
        "comparable": row.comparable,
        "remark": row.remark,
        "rankable": row.comparable != NOT_COMPARABLE,
        "computed": row.computed,
    }


def _figure(mean: float, deviation: float) -> str:
    from pandas import isna

    spread = "" if isna(deviation) else f" ± {deviation:.2f}"
    return "" if isna(mean) else f"{mean:.2f}{spread}"


def _interval(low: float, high: float) -> str:
    from pandas import isna

    return "" if isna(low) or isna(high) else f"{low:.2f}–{high:.2f}"


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
