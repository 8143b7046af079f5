"""`chmed-ner stats`: corpus statistics for each split and genre."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from chmed_ner.data import Dataset, MissingTrainingFileError, markdown, statistics
from chmed_ner.data.corpus import Sentences
from chmed_ner.errors import InputError
from chmed_ner.files import write_json

HELP = "corpus statistics (the paper's Table 2) for each split and genre"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the overrides, which choose the dataset, and `--json`."""
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help="of the configuration, such as dataset=rocling2023 'dataset.genres=[FT,WA]'",
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="also write the unrounded figures to FILE; - prints them instead of the table",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print the table and write the JSON; 0.

    `train` is what the training files hold, before validation is carved and leaks are dropped; a
    missing training file is reported on stderr and leaves that split out. Raises InputError for a
    bad configuration, missing or bad test files, and a JSON file that cannot be written.
    """
    from chmed_ner.config import build, compose

    config = compose(arguments.overrides)
    dataset: Dataset = build(config.dataset, "dataset")
    stats = statistics(_splits(dataset, Path(config.paths.data)), dataset.labels)
    if arguments.json == "-":
        print(json.dumps(stats, ensure_ascii=False, indent=2))
        return 0
    if arguments.json is not None:
        try:
            write_json(Path(arguments.json), stats)
        except OSError as error:
            raise InputError(
                f"--json {arguments.json}: cannot be written ({error.strerror})"
            ) from None
    print(f"Dataset {dataset.name}\n\n{markdown(stats, dataset.labels)}", end="")
    return 0


def _splits(dataset: Dataset, root: Path) -> Mapping[str, Sentences]:
    """`train` and `test` as the files hold them."""
    try:
        raw = dataset.raw(root)
    except MissingTrainingFileError as error:
        print(f"note: no figures for train: {error}", file=sys.stderr)
        return {"test": dataset.raw(root, training=False)["test"]}
    return {split: raw[split] for split in ("train", "test")}
