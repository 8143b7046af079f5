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
    nothing: list[Row] = []
    both = zip_longest(gold.sentences, predicted.sentences, fillvalue=nothing)
    for number, (wanted, given) in enumerate(both, start=1):
        if [row.character for row in wanted] != [row.character for row in given]:
            problem = _difference(number, (gold, wanted), (predicted, given))
            raise InputError(f"{problem}; {SAME_CHARACTERS}")


def _difference(
    number: int, gold: tuple[ColumnFile, list[Row]], predicted: tuple[ColumnFile, list[Row]]
) -> str:
    """How the files differ in a sentence; one without rows is missing in its file."""
    for wanted, given in zip(gold[1], predicted[1], strict=False):
        if wanted.character != given.character:
            return (
                f"{_place(predicted[0], given)}: {given.character!r}, but "
                f"{_place(gold[0], wanted)} has {wanted.character!r}"
            )
    (file, rows), (longer, longer_rows) = sorted((gold, predicted), key=lambda side: len(side[1]))
    end = _place(file, (rows or file.sentences[-1])[-1])
    what = f"sentence {number}" if rows else f"the last of {number - 1} sentences"
    row = longer_rows[len(rows)]
    more = f"goes on with {row.character!r}" if rows else f"begins sentence {number}"
    if file is predicted[0]:
        return f"{end}: {what} ends, but {_place(longer, row)} {more}"
    return f"{_place(longer, row)}: {more}, but {what} ends at {end}"


def _place(file: ColumnFile, row: Row) -> str:
    return f"{file.path}, line {row.line}"
