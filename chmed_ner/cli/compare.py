"""`chmed-ner compare`: two runs side by side, and whether their difference may be chance."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from chmed_ner.cli.options import (
    add_json,
    add_language,
    check_target,
    spoken_language,
    write_and_print,
    writing,
)
from chmed_ner.errors import InputError, printable
from chmed_ner.report import padded, say, speaking

if TYPE_CHECKING:
    from chmed_ner.run import TestedRun
    from chmed_ner.score import Comparisons, Estimate


_INTERVALS = (
    "95% intervals: {n} resamples of the sentences within each genre, the same for both runs."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the two runs, `--json` and `--html`."""
    run = "a directory of a run or of a rescoring, an MLflow run id, latest or best"
    parser.add_argument("run_a", metavar="RUN_A", help=run)
    parser.add_argument("run_b", metavar="RUN_B", help="the same, tested on RUN_A's sentences")
    add_json(parser)
    add_language(parser)
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="also write a page of every sentence: what one run gets right and the other wrong",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print the table, write the JSON and the page; InputError: the runs cannot be compared."""
    from chmed_ner.run import COMPARED_FILES, compare_runs, comparison_json, read_run
    from chmed_ner.track import find_run

    names = {"RUN_A": arguments.run_a, "RUN_B": arguments.run_b}
    places = [find_run(name, key=key) for key, name in names.items()]
    read = [place / file for place in places for file in COMPARED_FILES]
    check_target(arguments.json, read)
    check_target(arguments.html, read, key="--html")
    if arguments.html is not None and arguments.html == arguments.json:
        raise InputError(f"--html {arguments.html}: is the file of --json; name another")
    first, second = map(read_run, places)
    found = compare_runs(first, second)
    titles = [f"{s}: {r.record.name}  {r.directory}" for s, r in (("A", first), ("B", second))]
    with speaking(spoken_language(arguments)):
        table = "\n".join([*map(printable, titles), "", *_table(found)]) + "\n"
        if arguments.html is not None:
            _write_page(Path(arguments.html), first, second, found)
    write_and_print(arguments.json, comparison_json(first, second, found), table)
    return 0


def _write_page(path: Path, first: "TestedRun", second: "TestedRun", found: "Comparisons") -> None:
    from chmed_ner.report import Side, write_comparison_page

    sides = [
        Side(run.record.name, str(run.directory), run.spans, run.completions())
        for run in (first, second)
    ]
    with writing("--html", path):
        write_comparison_page(
            path,
            first=sides[0],
            second=sides[1],
            sentences=list(first.sentences.values()),
            figures=found,
            labels=first.labels,
        )


def _table(found: "Comparisons") -> list[str]:
    """A line for the macro F1 and one for each genre, in percent."""
    rows = [(say("macro"), found.macro), *found.genres.items()]
    width = max(5, *(len(name) for name, _ in rows))
    sides = f"{'A':^25}  {'B':^25}  {'B - A':^28}  {'p':>6}"
    lines = [f"{'F1':<{width}}  {padded(say('sentences'), 9)}  {sides}"]
    for name, each in rows:
        lines.append(
            f"{padded(name, width)}  {each.sentences:>9}  {_shown(each.first)}  "
            f"{_shown(each.second)}  {_shown(each.difference, '+')}  {each.p_value:6.4f}"
        )
    return [
        *lines,
        "",
        say(_INTERVALS, n=f"{found.resamples:,}"),
        say("p: approximate randomisation, two-sided, {n} rounds.", n=f"{found.rounds:,}"),
    ]


def _shown(estimate: "Estimate", sign: str = "") -> str:
    width = 7 if sign else 6
    f1, low, high = (f"{x:{sign}{width}.2f}" for x in (estimate.f1, estimate.low, estimate.high))
    return f"{f1} ({low} {say('to')} {high})"
