"""`chmed-ner export`: a finished run as an MLflow model, to be served or loaded elsewhere."""

import argparse
import os
from pathlib import Path

from chmed_ner.cli.options import add_place, find


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--run", required=True, help="a run directory, an MLflow run id, or latest")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="write the model to the new folder DIR; without it, it is logged to the run in MLflow",
    )
    add_place(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Write or log the model; print its address."""
    from chmed_ner.run import log_model, save_model

    run = find(arguments.run, arguments)
    if arguments.out is not None:
        folder = Path(arguments.out).expanduser().absolute()
        save_model(run, folder)
        print(folder)
    else:
        print(log_model(run, os.environ.get("MLFLOW_TRACKING_URI")))
    return 0
