"""Corpus counts that others have published, to stand beside ours.

A publication's figures hold for certain parts of the corpora: pairs of a file (relative to the data
root, without its suffix) and a genre. They are shown beside a column of ours that is counted on the
very same parts. README.md in this folder explains each difference.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from chmed_ner.data.sources import Source

Part = tuple[str, str]
"""A file without its suffix, and a genre."""

_TAGS = ("BODY", "SYMP", "INST", "EXAM", "CHEM", "DISE", "DRUG", "SUPP", "TREAT", "TIME")
_HEALTHNER = {part: f"healthner/{part}" for part in ("train", "test")}
_ROCLING2022 = "rocling2022/ROCLING22_CHNER_truth"
_ROCLING2023 = {genre: f"rocling2023/MultiNER-Health_truth_{genre}" for genre in ("FT", "SM", "WA")}


@dataclass(frozen=True, slots=True)
class Published:
    """Figures from one place: `row` has some of the keys of a row of `statistics`.

    `name` heads its column (`paper` is Wang and Yang 2023); `source` says where it is printed.
    """

    name: str
    source: str
    parts: frozenset[Part]
    row: Mapping[str, Any]


def parts_of(sources: Iterable[Source]) -> frozenset[Part]:
    """The parts that a split is read from."""
    return frozenset(
        (PurePath(source.name).with_suffix("").as_posix(), genre)
        for source in sources
        for genre in source.genres
    )


def published_for(parts: frozenset[Part]) -> dict[str, tuple[Published, ...]]:
    """The figures published for what is read from `parts`: by genre, and `all` for all of them."""
    wanted = {
        **{
            genre: frozenset(part for part in parts if part[1] == genre)
            for genre in sorted({genre for _, genre in parts})
        },
        "all": parts,
    }
    return {
        genre: tuple(found for found in PUBLISHED if found.parts == wanted[genre])
        for genre in wanted
    }


def _types(*counts: int) -> dict[str, int]:
    return dict(zip(_TAGS, counts, strict=True))


def _health(part: str) -> frozenset[Part]:
    return frozenset((_HEALTHNER[part], genre) for genre in ("FT", "SM"))


def _genre(genre: str, source: str, types: tuple[int, ...], **row: int) -> Published:
    """A column of the organisers' table of ROCLING-2023."""
    return Published(
        "organisers",
        f"README of ROCLING-2023, Table 3{source}",
        frozenset({(_ROCLING2023[genre], genre)}),
        {**row, "types": _types(*types)},
    )


PUBLISHED = (
    Published(
        "paper",
        "Wang and Yang 2023, Table 2, HealthNER",
        _health("train"),
        {
            "sentences": 28_161,
            "sentences_with_entity": 17_296,
            "sentences_without_entity": 10_865,
            "entities": 61_155,
            "types": _types(23_240, 11_423, 1047, 2218, 6090, 9074, 2146, 1403, 2905, 1609),
        },
    ),
    Published(
        "organisers",
        "README of HealthNER, Table 2, training set",
        _health("train"),
        {
            "sentences": 28_161,
            "entities": 61_155,
            "types": _types(23_240, 11_423, 1047, 2218, 6090, 9074, 2146, 1403, 2905, 1609),
        },
    ),
    Published(
        "organisers",
        "README of HealthNER, Table 2, test set",
        _health("test"),
        {
            "sentences": 2531,
            "entities": 7305,
            "types": _types(3171, 1481, 42, 404, 744, 1005, 79, 122, 203, 54),
        },
    ),
    Published(
        "paper",
        "Wang and Yang 2023, Table 2, ROCLING-2022",
        frozenset({(_ROCLING2022, "WA")}),
        {
            "sentences": 3204,
            "sentences_with_entity": 3204,
            "sentences_without_entity": 0,
            "entities": 13_360,
            "types": _types(5308, 1944, 250, 207, 1718, 2609, 481, 183, 466, 194),
        },
    ),
    Published(
        "organisers",
        "Readme of ROCLING-2022, Table 2, test set",
        frozenset({(_ROCLING2022, "WA")}),
        {
            "sentences": 3205,
            "sentences_with_entity": 3205,
            "sentences_without_entity": 0,
            "characters": 118_116,
            "entities": 13_369,
            "types": _types(5315, 1944, 250, 207, 1718, 2609, 481, 183, 468, 194),
        },
    ),
    _genre(
        "FT",
        "; official chunks: FT_result_Score.txt there",
        (2461, 2635, 190, 223, 1124, 2300, 932, 47, 512, 421),
        sentences=2035,
        characters=149_276,
        entities=10_845,
        official_chunks=10_849,
    ),
    _genre(
        "SM",
        "",
        (2572, 2280, 41, 511, 321, 1322, 746, 92, 363, 44),
        sentences=2208,
        characters=98_317,
        entities=8292,
    ),
    _genre(
        "WA",
        "; official chunks: WA_result_Score.txt there",
        (3843, 1890, 149, 180, 748, 1970, 451, 56, 308, 166),
        sentences=2381,
        characters=92_498,
        entities=9761,
        official_chunks=9761,
    ),
    Published(
        "paper",
        "Wang and Yang 2023, Table 2, ROCLING-2023",
        frozenset((file, genre) for genre, file in _ROCLING2023.items()),
        {"sentences": 6624, "sentences_with_entity": 6619, "sentences_without_entity": 5},
    ),
    Published(
        "organisers",
        "README of ROCLING-2023, text",
        frozenset((file, genre) for genre, file in _ROCLING2023.items()),
        {"characters": 340_091, "entities": 28_896},
    ),
)
"""Every publication's figures for parts of the corpora that a split can consist of."""
