"""Rows that others have published, from `experiments/published.yaml`, to stand beside ours."""

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
    """A published F1 in percent, over all genres and by genre where they are given."""

    system: str
    source: str
    f1: float
    comparable: str
    remark: str = ""
    genres: Mapping[str, float] = field(default_factory=dict)
    computed: bool = False
    """Whether `f1` is our mean of the published genres."""


def published(path: Path | None = None) -> dict[str, tuple[tuple[str, ...], list[PublishedRow]]]:
    """dataset -> the genres it is tested on, and its rows.

    Raises InputError, naming the row, for a file of another shape.
    """
    path = path or sweep_directory() / "published.yaml"
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(path))
        return {
            str(dataset): (
                tuple(entry["genres"]),
                [_row(path, dataset, row) for row in entry["rows"]],
            )
            for dataset, entry in content.items()
        }
    except (OSError, OmegaConfBaseException, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the published rows ({error}); restore the file") from None


def _row(path: Path, dataset: str, entry: Mapping[str, Any]) -> PublishedRow:
    try:
        row = PublishedRow(**entry)
    except TypeError as error:
        raise InputError(f"{path}, {dataset}, {entry!r}: {error}") from None
    if row.comparable not in COMPARABLE:
        raise InputError(
            f"{path}, {dataset}, {row.system}: comparable is {row.comparable!r}; allowed: "
            f"{', '.join(COMPARABLE)}"
        )
    return row


def beside(
    found: Mapping[str, tuple[tuple[str, ...], Sequence[PublishedRow]]],
    dataset: str,
    genres: Sequence[str],
    *,
    limited: bool = False,
) -> list[PublishedRow]:
    """The rows for a board of `dataset`, scored on `genres`.

    None of them can be compared with a `limited` board, of which a sample was asked.

    Where those are only some of the dataset's, a row's F1 is our mean of its genres (`computed`);
    one that gives no genres keeps its F1 over all and cannot be compared.
    """
    every, rows = found.get(dataset, ((), ()))
    if rows and set(genres) != set(every):
        rows = [_part(row, every, genres) for row in rows]
    return [_over_all(row) if limited else row for row in rows]


def _over_all(row: PublishedRow) -> PublishedRow:
    remark = "; ".join(filter(None, ("over the whole test set", row.remark)))
    return replace(row, comparable="not", remark=remark)


def _part(row: PublishedRow, every: Sequence[str], genres: Sequence[str]) -> PublishedRow:
    kept = {genre: f1 for genre, f1 in row.genres.items() if genre in genres}
    if set(kept) == set(genres):
        f1 = fmean(kept.values())
        return PublishedRow(
            row.system, row.source, f1, row.comparable, row.remark, kept, computed=True
        )
    remark = "; ".join(filter(None, (f"F1 over {', '.join(every)}", row.remark)))
    return PublishedRow(row.system, row.source, row.f1, "not", remark, kept)
