"""Whether a predicted file holds the gold file's characters, sentence by sentence.

The organisers paste the prediction's tags next to the gold by row number. Here the two files must
hold the same characters in the same sentences, or nothing is scored.
"""

from itertools import zip_longest

from chmed_ner.data.columns import ColumnFile, Row
from chmed_ner.errors import InputError

SAME_CHARACTERS = (
    "a prediction must hold the gold file's characters, sentence by sentence, in the same order"
)
"""The cure in the error for a file that differs."""


def check_same(gold: ColumnFile, predicted: ColumnFile) -> None:
    """InputError naming the lines of both files where they first differ."""
    for number, (wanted, given) in enumerate(
        zip_longest(gold.sentences, predicted.sentences), start=1
    ):
        if given is None:
            problem = (
                f"{_place(predicted, predicted.sentences[-1][-1])}: the last of {number - 1} "
                f"sentences ends, but {_place(gold, wanted[0])} begins sentence {number}"
            )
        elif wanted is None:
            problem = (
                f"{_place(predicted, given[0])}: begins sentence {number}, but the last of "
                f"{number - 1} sentences ends at {_place(gold, gold.sentences[-1][-1])}"
            )
        else:
            problem = _difference(number, (gold, wanted), (predicted, given))
        if problem:
            raise InputError(f"{problem}; {SAME_CHARACTERS}")


def _difference(
    number: int, gold: tuple[ColumnFile, list[Row]], predicted: tuple[ColumnFile, list[Row]]
) -> str:
    """What is different in a sentence; empty where nothing is."""
    (gold_file, gold_rows), (predicted_file, predicted_rows) = gold, predicted
    for wanted, given in zip_longest(gold_rows, predicted_rows):
        if given is None:
            return (
                f"{_place(predicted_file, predicted_rows[-1])}: sentence {number} ends, but "
                f"{_place(gold_file, wanted)} goes on with {wanted.character!r}"
            )
        if wanted is None:
            return (
                f"{_place(predicted_file, given)}: sentence {number} goes on with "
                f"{given.character!r}, but ends at {_place(gold_file, gold_rows[-1])}"
            )
        if wanted.character != given.character:
            return (
                f"{_place(predicted_file, given)}: {given.character!r}, but "
                f"{_place(gold_file, wanted)} has {wanted.character!r}"
            )
    return ""


def _place(file: ColumnFile, row: Row) -> str:
    return f"{file.path}, line {row.line}"
