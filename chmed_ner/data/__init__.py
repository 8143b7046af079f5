"""Corpora: readers, splits, datasets, statistics, download."""

from chmed_ner.data.columns import read_columns, write_columns
from chmed_ner.data.corpus import Corpus, Limit
from chmed_ner.data.dataset import Dataset, MissingTrainingFileError
from chmed_ner.data.healthner import read_healthner
from chmed_ner.data.statistics import markdown, statistics

__all__ = [
    "Corpus",
    "Dataset",
    "Limit",
    "MissingTrainingFileError",
    "markdown",
    "read_columns",
    "read_healthner",
    "statistics",
    "write_columns",
]
