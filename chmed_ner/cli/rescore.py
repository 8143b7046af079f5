"""`chmed-ner rescore`: a run parsed, restored and scored again from its saved completions."""

import argparse
from pathlib import Path

from chmed_ner.cli.options import add_trust
from chmed_ner.errors import InputError
from chmed_ner.files import output_directory


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_trust(parser)
    parser.add_argument("run", help="a run directory, an MLflow run id, latest or best")
    parser.add_argument(
        "overrides",
        nargs="*",
        help="restoration=..., restoration.*, prompt.answer.* , tracking=...",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write `RUN/rescore/<hash8>/`, track it as a run of its own, print the headline."""
    from chmed_ner.methods import rescore
    from chmed_ner.track import find_run

    run = _with_completions(find_run(arguments.run))
    trust = arguments.trust_endpoint
    directory, metrics = rescore(run, arguments.overrides, trust_endpoint=trust)
    for name in ("test/precision", "test/recall", "test/f1", "test/f1_low", "test/f1_high"):
        print(f"{name:<16} {metrics[name]:6.2f}")
    print(directory)
    return 0


def _with_completions(run: Path) -> Path:
    """`run`; InputError, which names the newest run that has some, where it has no completions."""
    from chmed_ner.track import RunRecord, finished_in

    def can(directory: Path, record: RunRecord) -> bool:
        asked = record.config.get("prompt") is not None
        return asked and (directory / "completions.jsonl").is_file()

    record = RunRecord.read(run)
    if can(run, record):
        return run
    runs = run.parent if run.parent.name == "runs" else output_directory() / "runs"
    other = next((str(each) for each, its in finished_in(runs) if can(each, its)), "")
    raise InputError(
        f"RUN={run}: {record.name} has no completions to score again: its method asks no language "
        f"model; the newest run that has some: {other or f'none under {runs}'}"
    )
