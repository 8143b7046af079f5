"""`chmed-ner report`: what MLflow lacks is uploaded (`--sync`)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from chmed_ner.errors import InputError

if TYPE_CHECKING:
    from chmed_ner.track import Synced

HELP = "upload runs that were kept while the tracking server was away"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--sync",
        action="store_true",
        help="upload runs that were kept in their directories while the tracking server was away",
    )
    parser.add_argument("overrides", nargs="*", help="paths.output=..., tracking.uri=...")


def execute(arguments: argparse.Namespace) -> int:
    """Upload what MLflow lacks; 1 when some of it could not be sent."""
    from chmed_ner.config import compose
    from chmed_ner.track import sync

    if not arguments.sync:
        raise InputError("report: say what to do: --sync")
    config = compose(arguments.overrides)
    uri = config.tracking.get("uri")
    synced = sync(Path(config.paths.output), None if uri is None else str(uri))
    print_synced(synced)
    return 1 if synced.failed else 0


def print_synced(synced: "Synced") -> None:
    """How many runs were sent, which are still at work, and which could not be sent."""
    print(f"{len(synced.sent)} sent, {len(synced.running)} at work, {len(synced.failed)} not sent")
    for directory in synced.running:
        print(f"{directory}: at work; it sends the rest itself")
    for directory, reason in synced.failed.items():
        print(f"{directory}: not sent: {reason}")
