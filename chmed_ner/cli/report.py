"""`chmed-ner report`: the leaderboard of many runs; what MLflow lacks is uploaded (`--sync`)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from chmed_ner.cli.options import add_trust, writing
from chmed_ner.errors import InputError, printable

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from chmed_ner.report import Leaderboard


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--sync",
        action="store_true",
        help="upload runs that were kept in their directories while the tracking server was away",
    )
    parser.add_argument(
        "--experiment", metavar="NAME", help="the runs of this MLflow experiment (default: of all)"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="where to write (default: report/ in paths.output)"
    )
    parser.add_argument(
        "--by",
        metavar="GROUPS",
        help="what to group rows by (default: backbone,method,regime,prompt,dataset)",
    )
    parser.add_argument(
        "--partial", action="store_true", help="show limited runs too, marked as partial"
    )
    add_trust(parser)
    parser.add_argument("overrides", nargs="*", help="paths.output=..., tracking.uri=...")


def execute(arguments: argparse.Namespace) -> int:
    """Write the leaderboard, or upload what MLflow lacks; 1 when some of it could not be sent."""
    from chmed_ner.run import compose

    config = compose(arguments.overrides)
    if not arguments.sync:
        return _leaderboard(arguments, config)
    from chmed_ner.track import sync

    if arguments.experiment or arguments.out or arguments.by or arguments.partial:
        raise InputError("report --sync: uploads only; write the leaderboard by a second command")
    uri = config.tracking.get("uri")
    synced = sync(
        Path(config.paths.output),
        None if uri is None else str(uri),
        trust_endpoint=arguments.trust_endpoint,
    )
    print(f"{len(synced.sent)} sent, {len(synced.running)} at work, {len(synced.failed)} not sent")
    for directory in synced.running:
        print(f"{directory}: at work; it sends the rest itself")
    for directory, reason in synced.failed.items():
        print(f"{directory}: not sent: {printable(reason)}")
    return 1 if synced.failed else 0


def _leaderboard(arguments: argparse.Namespace, config: "DictConfig") -> int:
    from chmed_ner.report import DEFAULT_GROUPS, speaking, write_leaderboard
    from chmed_ner.run import build, plain_config
    from chmed_ner.track import MLflowTracking, TrackedRuns, records_in

    content = plain_config(config)
    tracking = build(content["tracking"], "tracking")
    if not isinstance(tracking, MLflowTracking):
        raise InputError("report: tracking=dry keeps no runs; use tracking=mlflow or server")
    output = Path(content["paths"]["output"])
    out = (arguments.out or output / "report").absolute()
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; name a folder")
    groups = arguments.by.split(",") if arguments.by is not None else DEFAULT_GROUPS
    pages = {
        str(record.mlflow_run_id): folder.absolute() / "report.html"
        for folder, record in records_in(output / "runs")
    }
    with speaking(content["language"]), writing("--out", out):
        written = write_leaderboard(
            TrackedRuns(tracking.place),
            out,
            {run: page for run, page in pages.items() if page.is_file()},
            experiment=arguments.experiment,
            by=tuple(group.strip() for group in groups),
            partial=arguments.partial,
        )
        _print(written)
    return 0


def _print(written: "Leaderboard") -> None:
    from chmed_ner.report import counted, say

    for table, drawn in written.boards:
        print(printable(table.title))
        for number, row in enumerate(table.cells.itertuples()):
            if number == table.above:
                print(f"  {say('not comparable')}:")
            source = f"  ({row.remark})" if row.remark else ""
            if not table.ours[number]:
                doubt = f"; {say('comparable')}: {row.comparable}" if row.comparable else ""
                source = f"  [{row.source}{doubt}]"
            print(printable(f"  {row.f1:>14}  {row.interval:>12}  {row.system}{source}"))
        for reason in drawn.left_out:
            print(f"  {say('Figure left out: {reason}.', reason=reason)}")
    print(say("Runs left out: {runs}.", runs=counted(written.left_out)))
    for look in written.looks.itertuples():
        counts = {"tuned": look.tuned, "all": look.all}
        print(f"{look.file}: {say('scored by {tuned} tuned settings, {all} in all', **counts)}")
    print(written.directory)
