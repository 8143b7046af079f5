"""`chmed-ner stats`: corpus statistics for each split and genre, and conflicting labels."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from chmed_ner.cli.options import add_json, write_and_print, writing
from chmed_ner.data import (
    Dataset,
    MissingTrainingFileError,
    Sentences,
    conflicts_markdown,
    corpus_statistics,
    parts_of,
    published_for,
    statistics_markdown,
    write_conflicts,
)
from chmed_ner.errors import InputError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the overrides, which choose the dataset, `--json`, and the listing of conflicts."""
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help="of the configuration, such as dataset=rocling2023 'dataset.genres=[FT,WA]'",
    )
    add_json(parser)
    parser.add_argument(
        "--conflicts",
        action="store_true",
        help="list the strings with more than one type, and the sentences annotated in more than "
        "one way, instead of the table",
    )
    parser.add_argument(
        "--csv",
        metavar="DIR",
        help="with --conflicts: also write conflicting_mentions.csv and conflicting_sentences.csv",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print the table and write the JSON, or list the conflicts."""
    from chmed_ner.run import build, compose

    _check(arguments)
    config = compose(arguments.overrides)
    root = Path(config.paths.data).absolute()
    dataset: Dataset = build(config.dataset, "dataset").with_labels(root)
    splits = _splits(dataset, root)
    if arguments.conflicts:
        _conflicts(dataset, splits, arguments.csv)
        return 0
    stats = corpus_statistics(splits, dataset.scheme)
    published = {
        split: published_for(parts_of(dataset.sources(root, split))) for split in ("train", "test")
    }
    table = statistics_markdown(stats, dataset.scheme, published)
    write_and_print(arguments.json, stats, f"Dataset {dataset.name}\n\n{table}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.csv is not None and not arguments.conflicts:
        raise InputError(f"--csv {arguments.csv}: writes the conflicts; add --conflicts")
    if arguments.json is not None and arguments.conflicts:
        raise InputError(f"--json {arguments.json}: holds the statistics; leave out --conflicts")


def _splits(dataset: Dataset, root: Path) -> Mapping[str, Sentences]:
    """`train` and `test` as the files hold them."""
    try:
        raw = dataset.raw(root)
    except MissingTrainingFileError as error:
        print(f"note: no figures for train: {error}", file=sys.stderr)
        return {"test": dataset.raw(root, training=False)["test"]}
    return {split: raw[split] for split in ("train", "test")}


def _conflicts(dataset: Dataset, splits: Mapping[str, Sentences], directory: str | None) -> None:
    """Print the conflicts of each split; with a directory, write its CSV files first."""
    if directory is not None:
        with writing("--csv", directory):
            write_conflicts(Path(directory), splits, dataset.scheme.tags)
    listings = [conflicts_markdown(split, sentences) for split, sentences in splits.items()]
    print(f"Dataset {dataset.name}\n\n" + "\n".join(listings), end="")
