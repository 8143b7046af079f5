"""`chmed-ner export`: a finished run as an MLflow model, to be served or loaded elsewhere."""

import argparse
import os
from pathlib import Path

from chmed_ner.cli.options import add_trust


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--run", required=True, help="a run directory, an MLflow run id, latest or best"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="write the model to the new folder DIR; without it, it is logged to the run in MLflow",
    )
    add_trust(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Write or log the model; print its address."""
    from chmed_ner.run import log_model, save_model
    from chmed_ner.track import find_run

    run, trust = find_run(arguments.run), arguments.trust_endpoint
    if arguments.out is not None:
        folder = Path(arguments.out).expanduser().absolute()
        save_model(run, folder, trust_endpoint=trust)
        print(folder)
    else:
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        print(log_model(run, uri, trust_endpoint=trust))
    return 0
