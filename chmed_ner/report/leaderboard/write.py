"""What `chmed-ner report` writes: leaderboard.md, .csv, .tex, .html and the figures."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chmed_ner.errors import InputError
from chmed_ner.files import markdown_table, replacing, write_bytes
from chmed_ner.report.figures import legible
from chmed_ner.report.leaderboard.entries import looks, published_rows, rows_for, scored_runs
from chmed_ner.report.leaderboard.figures import Drawn, board_figures
from chmed_ner.report.leaderboard.page import LOOKS, LOOKS_TITLE, look_rows, write_leaderboard_page
from chmed_ner.report.leaderboard.rows import boards, check_groups
from chmed_ner.report.leaderboard.tables import (
    BoardTable,
    as_csv,
    board_records,
    board_table,
    latex,
    markdown,
)
from chmed_ner.report.words import say
from chmed_ner.track import TrackedRuns

if TYPE_CHECKING:
    from pandas import DataFrame

BOLD = (
    "F1, P, R in percent (official chunk scores; F1 over several genres is their macro average); "
    "± is the standard deviation over seeds. Bold, by column: the best of ours, and the best "
    "published one that can be compared. † computed here from the published genres."
)
LOOKED = (
    "Over all experiments of the store, limited runs included. A setting is a configuration with "
    "its seed and code version. The more tuned settings a test set has scored, the more its best "
    "figure owes to chance and choice. Of predictions from files nobody knows what they were tuned "
    "on."
)
LEFT_OUT = "Runs left out: {runs}."


@dataclass(frozen=True)
class Leaderboard:
    """What is written to `directory`: boards with their figures, the runs left out by reason, how
    often each test file was scored."""

    directory: Path
    boards: tuple[tuple[BoardTable, Drawn], ...]
    left_out: Counter[str]
    looks: "DataFrame"


def write_leaderboard(
    tracked: TrackedRuns,
    directory: Path,
    reports: Mapping[str, Path],
    *,
    experiment: str | None,
    by: Sequence[str],
    partial: bool,
) -> Leaderboard:
    """Write the leaderboard of an experiment's runs (None: of all) to `directory`; its rows link to
    the `reports` that are known, by run id.

    The looks at the test sets count the runs of every experiment. InputError for an unknown
    experiment or group, and where no run can be shown; RunError when the store cannot be read.
    """
    check_groups(by)
    every = tracked.all()
    if not every:
        raise InputError(
            "report: the tracking store has no run yet; make some with chmed-ner run, or name the "
            "store of yours: paths.output=... or tracking.uri=..."
        )
    wanted = [run for run in every if experiment in (None, run.experiment)]
    others = [run for run in every if experiment not in (None, run.experiment)]
    if not wanted:
        known = sorted({run.experiment for run in every})
        raise InputError(
            f"--experiment {experiment}: no run there; experiments with runs: {', '.join(known)}"
        )
    scored, left_out = scored_runs(wanted, tracked.artifact)
    found, superseded = boards(scored, by)
    hidden = sum(not partial and run.partial for run in scored)
    left_out += superseded + Counter({"partial (shown by --partial)": hidden})
    shown = [(board.without_partial() if hidden else board, board.rows) for board in found]
    shown = [(board, rows) for board, rows in shown if board.rows]
    if not shown:
        raise InputError(
            f"no run to show ({counted(left_out)}); finish a run that tests, or see --partial"
        )
    published, records, made = published_rows(), [], []
    for board, rows in shown:
        theirs = (
            []
            if board.altered
            else rows_for(published, board.dataset, board.genres, limited=board.limited)
        )
        records.append(board_records(board, theirs))
        table = board_table(board, records[-1])
        with legible():
            made.append((table, board_figures(board, rows, tracked.artifact)))
    seen = looks([*scored, *scored_runs(others, tracked.artifact)[0]])
    written = Leaderboard(directory, tuple(made), left_out, seen)
    genres = dict.fromkeys(genre for board, _ in shown for genre in board.genres)
    _write(written, as_csv(records, list(genres), by), reports)
    return written


def counted(left_out: Counter[str]) -> str:
    """`2 FAILED, 1 RUNNING`; `none`."""
    return ", ".join(
        f"{number} {say(reason)}" for reason, number in sorted(left_out.items())
    ) or say("none")


def _write(found: Leaderboard, csv: str, reports: Mapping[str, Path]) -> None:
    folder = found.directory
    for table, drawn in found.boards:
        for name, pictures in drawn.pictures.items():
            for style, picture in pictures.items():
                write_bytes(folder / _slug(table.title) / f"{name}.{style}", picture)
    for name, text in (
        ("leaderboard.md", _markdown(found)),
        ("leaderboard.tex", "\n".join(latex(table) for table, _ in found.boards)),
        ("leaderboard.csv", csv),
    ):
        with replacing(folder / name) as file:
            file.write(text)
    notes = [say(BOLD), say(LEFT_OUT, runs=counted(found.left_out))]
    page = folder / "leaderboard.html"
    write_leaderboard_page(page, found.boards, reports, notes=notes, looks=found.looks)


def _slug(title: str) -> str:
    return re.sub(r"[^\w.-]+", "-", title).strip("-")


def _markdown(found: Leaderboard) -> str:
    parts = [f"# {say('Leaderboard')}", say(BOLD)]
    for table, drawn in found.boards:
        parts += [f"## {table.title}", markdown(table).rstrip()]
        parts += [
            f"![{title}]({_slug(table.title)}/{name}.png)" for name, title in drawn.titles.items()
        ]
        parts += drawn.notes
    parts += [say(LEFT_OUT, runs=counted(found.left_out)), f"## {say(LOOKS_TITLE)}"]
    looked = markdown_table([*map(say, LOOKS)], look_rows(found.looks), "llrrr").rstrip()
    parts += [looked, say(LOOKED)]
    return "\n\n".join(parts) + "\n"
