"""The option `--runs-in DIR`: where `latest` and MLflow run ids are looked up."""

import argparse
from pathlib import Path


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare `--runs-in`."""
    parser.add_argument(
        "--runs-in",
        metavar="DIR",
        help="look for latest and for MLflow run ids in the output directory DIR (paths.output "
        "of the runs) instead of the default one",
    )


def place_of(arguments: argparse.Namespace) -> Path | None:
    """The directory given, absolute; None for the default one."""
    return Path(arguments.runs_in).expanduser().absolute() if arguments.runs_in else None
