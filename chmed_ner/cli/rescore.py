"""`chmed-ner rescore`: a run parsed, restored and scored again from its saved completions."""

import argparse

from chmed_ner.cli.options import add_place, add_trust, find, place


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_place(parser)
    add_trust(parser)
    parser.add_argument("run", help="a run directory, an MLflow run id, or latest")
    parser.add_argument(
        "overrides",
        nargs="*",
        help="restoration=..., restoration.*, prompt.answer.* , tracking=...",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write `RUN/rescore/<hash8>/`, track it as a run of its own, print the headline."""
    from chmed_ner.methods import rescore

    run = find(arguments.run, arguments)
    output, trust = place(arguments), arguments.trust_endpoint
    directory, metrics = rescore(run, arguments.overrides, output, trust_endpoint=trust)
    for name in ("test/precision", "test/recall", "test/f1", "test/f1_low", "test/f1_high"):
        print(f"{name:<16} {metrics[name]:6.2f}")
    print(directory)
    return 0
