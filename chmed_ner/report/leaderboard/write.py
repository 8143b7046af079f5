"""What `chmed-ner report` writes: leaderboard.md, .csv, .tex, .html and the figures."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from chmed_ner.errors import InputError
from chmed_ner.files import replacing, write_bytes
from chmed_ner.report.leaderboard.board import Board, boards, check_groups
from chmed_ner.report.leaderboard.figures import Artifact, Drawn, figures
from chmed_ner.report.leaderboard.page import Section, write_leaderboard_page
from chmed_ner.report.leaderboard.published import PublishedRow, beside, published
from chmed_ner.report.leaderboard.scored import Looks, looks, sort_out
from chmed_ner.report.leaderboard.tables import Grid, as_csv, grid, latex, markdown
from chmed_ner.track import TrackedRun, TrackedRuns

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


@dataclass(frozen=True)
class Written:
    """What was written: the grids, the folder, the runs left out, the figures left out by board."""

    grids: tuple[Grid, ...]
    directory: Path
    left_out: Counter[str]
    looks: tuple[Looks, ...]
    drawn: dict[str, Drawn]


def write_leaderboard(
    tracked: TrackedRuns,
    directory: Path,
    *,
    experiment: str | None,
    by: Sequence[str],
    partial: bool,
) -> Written:
    """Write the leaderboard of an experiment's runs (None: of all) to `directory`.

    The looks at the test sets count the runs of every experiment. Raises InputError for an unknown
    experiment or group, and where no run can be shown; RunError when the store cannot be read.
    """
    check_groups(by)
    every = tracked.all()
    wanted = [run for run in every if experiment in (None, run.experiment)]
    if not every:
        raise InputError(
            "report: the tracking store has no run yet; make some with chmed-ner run, or name the "
            "store of yours: paths.output=... or tracking.uri=..."
        )
    if not wanted:
        known = sorted({run.experiment for run in every})
        raise InputError(
            f"--experiment {experiment}: no run there; experiments with runs: {', '.join(known)}"
        )
    texts = _remembered(tracked)
    everything, asked = sort_out(every, texts), sort_out(wanted, texts)
    scored, left_out = asked.runs, asked.left_out
    whole, superseded = boards(scored, by)
    hidden = sum(not partial and run.partial for run in scored)
    left_out["partial (shown by --partial)"] = hidden
    found = [board.without_partial() if hidden else board for board in whole]
    drawn = {
        shown.title: figures(shown, board.rows, texts)
        for shown, board in zip(found, whole, strict=True)
        if shown.rows
    }
    found = [board for board in found if board.rows]
    if not found:
        raise InputError(
            f"no run to show ({counted(+left_out)}); finish a run that tests, or see --partial"
        )
    rows = published()
    beside_ours = [
        (board, beside(rows, board.dataset, board.genres, limited=board.limited)) for board in found
    ]
    written = Written(
        tuple(grid(*each) for each in beside_ours),
        directory,
        +(left_out + superseded),
        tuple(looks(everything.runs)),
        drawn,
    )
    _write(written, beside_ours, by)
    return written


def _remembered(tracked: TrackedRuns) -> Artifact:
    """Files of runs, each fetched once."""
    runs: dict[str, TrackedRun] = {}

    @lru_cache(maxsize=4096)
    def fetched(run_id: str, path: str) -> str | None:
        return tracked.artifact(runs[run_id], path)

    def artifact(run: TrackedRun, path: str) -> str | None:
        runs[run.run_id] = run
        return fetched(run.run_id, path)

    return artifact


def counted(left_out: Counter[str]) -> str:
    """`2 FAILED, 1 RUNNING`; `none`."""
    return ", ".join(f"{number} {reason}" for reason, number in sorted(left_out.items())) or "none"


def _write(
    written: Written, found: Sequence[tuple[Board, Sequence[PublishedRow]]], by: Sequence[str]
) -> None:
    folder = written.directory
    for title, drawn in written.drawn.items():
        for name, picture in drawn.pictures.items():
            write_bytes(folder / slug(title) / name, picture)
    for name, text in (
        ("leaderboard.md", _markdown(written)),
        ("leaderboard.tex", "\n".join(latex(each) for each in written.grids)),
        ("leaderboard.csv", as_csv(found, by)),
    ):
        with replacing(folder / name) as file:
            file.write(text)
    sections = [
        Section(
            each.title,
            each.header,
            [(line.cells, line.bold, line.ours) for line in each.lines],
            written.drawn[each.title].pictures,
            _notes(written.drawn[each.title]),
        )
        for each in written.grids
    ]
    write_leaderboard_page(
        folder / "leaderboard.html",
        sections,
        notes=[BOLD, f"Runs left out: {counted(written.left_out)}."],
        looks=[_look(each) for each in written.looks],
    )


def _notes(drawn: Drawn) -> list[str]:
    """Whose confusion matrix is shown, and which figures are left out and why."""
    best = [f"Confusion matrix: the best run, {drawn.best}."] if drawn.best else []
    return best + [f"Figure left out: {reason}." for reason in drawn.left_out]


def slug(title: str) -> str:
    """The folder of a board's figures."""
    return re.sub(r"[^\w.-]+", "-", title).strip("-")


LOOKS = ("test file", "SHA-256", "tuned settings scored", "all settings scored", "from files")


def _look(found: Looks) -> tuple[str, ...]:
    counts = (found.tuned, found.all, found.files)
    return (found.file, found.sha256[:12], *map(str, counts))


def _markdown(written: Written) -> str:
    parts = ["# Leaderboard", BOLD]
    for each in written.grids:
        drawn = written.drawn[each.title]
        parts += [f"## {each.title}", markdown(each).rstrip()]
        parts += [f"![{name}]({slug(each.title)}/{name})" for name in drawn.pictures]
        parts += _notes(drawn)
    parts += [
        f"Runs left out: {counted(written.left_out)}.",
        "## How often each test set was scored",
    ]
    looks = [LOOKS, ("---", "---", "---:", "---:", "---:"), *map(_look, written.looks)]
    parts.append("\n".join(f"| {' | '.join(row)} |" for row in looks))
    parts.append(LOOKED)
    return "\n\n".join(parts) + "\n"
