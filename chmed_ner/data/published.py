"""Corpus counts that others have published (`published.toml`), to be shown next to ours.

A publication's figures hold for certain parts of the corpora. They are shown next to a column of
ours that is counted on the very same parts.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from chmed_ner.data.sources import Source

Part = tuple[str, str]
"""A file relative to the data root, without its suffix, and a genre."""

_TAGS = ("BODY", "SYMP", "INST", "EXAM", "CHEM", "DISE", "DRUG", "SUPP", "TREAT", "TIME")


@dataclass(frozen=True, slots=True)
class Published:
    """Figures from one place: `row` has some of the keys of a row of `statistics`.

    `name` heads its column (`paper` is Wang and Yang 2023); `source` says where it is printed.
    """

    name: str
    source: str
    parts: frozenset[Part]
    row: Mapping[str, Any]


def _published() -> tuple[Published, ...]:
    content = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    found = []
    for row in content["published"]:
        name, source, parts = row.pop("name"), row.pop("source"), row.pop("parts")
        if "types" in row:
            row["types"] = dict(zip(_TAGS, row["types"], strict=True))
        found.append(Published(name, source, frozenset(map(tuple, parts)), row))
    return tuple(found)


PUBLISHED = _published()
"""Every publication's figures for parts of the corpora that a split can consist of."""


def parts_of(sources: Iterable[Source]) -> frozenset[Part]:
    """The parts that a split is read from."""
    return frozenset(
        (PurePath(source.name).with_suffix("").as_posix(), genre)
        for source in sources
        for genre in source.genres
    )


def published_for(parts: frozenset[Part]) -> dict[str, tuple[Published, ...]]:
    """The figures published for what is read from `parts`: by genre, and `all` for all of them."""
    wanted = {genre: frozenset(p for p in parts if p[1] == genre) for _, genre in sorted(parts)}
    wanted["all"] = parts
    return {
        genre: tuple(found for found in PUBLISHED if found.parts == counted)
        for genre, counted in wanted.items()
    }
