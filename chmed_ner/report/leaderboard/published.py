"""Rows that others have published, from `experiments/published.yaml`, to be shown among ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from chmed_ner.errors import InputError
from chmed_ner.files import sweep_directory

COMPARABLE = ("fully", "partly", "not")


@dataclass(frozen=True)
class PublishedRow:
    """A published F1 in percent, over all genres and by genre where they are given.

    `computed`: whether `f1` is our mean of the published genres.
    """

    system: str
    source: str
    f1: float
    comparable: str
    remark: str = ""
    genres: Mapping[str, float] = field(default_factory=dict)
    computed: bool = False

    def with_remark(self, remark: str, **changes: Any) -> "PublishedRow":
        """The row with something to be known before all else, and other changes."""
        return replace(self, remark="; ".join(filter(None, (remark, self.remark))), **changes)


Published = Mapping[str, tuple[tuple[str, ...], Sequence[PublishedRow]]]
"""dataset -> the genres it is tested on, and its rows."""


def published_rows(path: Path | None = None) -> Published:
    """The rows of a file. Raises InputError, naming the row, for a file of another shape."""
    path = path or sweep_directory() / "published.yaml"
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(path))
        return {
            str(dataset): (
                tuple(entry["genres"]),
                [_row(f"{path}, {dataset}", row) for row in entry["rows"]],
            )
            for dataset, entry in content.items()
        }
    except (OSError, OmegaConfBaseException, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the published rows ({error}); restore the file") from None


def _row(place: str, entry: Mapping[str, Any]) -> PublishedRow:
    try:
        row = PublishedRow(**entry)
    except TypeError as error:
        raise InputError(f"{place}, {entry!r}: {error}") from None
    if row.comparable not in COMPARABLE:
        raise InputError(
            f"{place}, {row.system}: comparable is {row.comparable!r}; allowed: "
            f"{', '.join(COMPARABLE)}"
        )
    return row


def rows_for(
    found: Published, dataset: str, genres: Sequence[str], *, limited: bool = False
) -> list[PublishedRow]:
    """The rows for a board of `dataset`, scored on `genres`.

    Where those are only some of the dataset's, a row's F1 is our mean of its genres (`computed`);
    one that gives no genres keeps its F1 over all and cannot be compared. Nor can any row with a
    `limited` board, of which a sample was asked.
    """
    every, rows = found.get(dataset, ((), ()))
    if rows and set(genres) != set(every):
        rows = [_of_genres(row, every, genres) for row in rows]
    if limited:
        return [row.with_remark("over the whole test set", comparable="not") for row in rows]
    return list(rows)


def _of_genres(row: PublishedRow, every: Sequence[str], genres: Sequence[str]) -> PublishedRow:
    kept = {genre: f1 for genre, f1 in row.genres.items() if genre in genres}
    if set(kept) == set(genres):
        return replace(row, f1=fmean(kept.values()), genres=kept, computed=True)
    return row.with_remark(f"F1 over {', '.join(every)}", comparable="not", genres=kept)
