"""Corpus statistics: what the paper's Table 2 counts, the ceilings of restoration policies, and
the counts that others published (`published.toml`) for the very same parts.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any

from chmed_ner.data.sources import Source
from chmed_ner.entities import POLICIES, LabelScheme, Sentence, ceiling, inside, split_tag
from chmed_ner.files import markdown_table

Part = tuple[str, str]
"""A file relative to the data root, without its suffix, and a genre."""


_TAGS = ("BODY", "SYMP", "INST", "EXAM", "CHEM", "DISE", "DRUG", "SUPP", "TREAT", "TIME")


@dataclass(frozen=True, slots=True)
class Published:
    """Figures from one place, where `source` says: `row` has keys of a row of `statistics`.

    `name` heads the column (`paper` is Wang and Yang 2023).
    """

    name: str
    source: str
    parts: frozenset[Part]
    row: Mapping[str, Any]


def _published() -> Iterator[Published]:
    content = tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))
    for row in content["published"]:
        name, source, parts = row.pop("name"), row.pop("source"), row.pop("parts")
        if "types" in row:
            row["types"] = dict(zip(_TAGS, row["types"], strict=True))
        yield Published(name, source, frozenset(map(tuple, parts)), row)


PUBLISHED = tuple(_published())
"""Every publication's figures for parts of the corpora that a split can consist of."""


def parts_of(sources: Iterable[Source]) -> frozenset[Part]:
    """The parts that a split is read from."""
    return frozenset(
        (PurePath(source.name).with_suffix("").as_posix(), genre)
        for source in sources
        for genre in source.genres
    )


def published_for(parts: frozenset[Part]) -> dict[str, tuple[Published, ...]]:
    """The figures published for just these `parts`, by genre, and `all` for all of them."""
    wanted = {genre: frozenset(p for p in parts if p[1] == genre) for _, genre in sorted(parts)}
    wanted["all"] = parts
    return {
        genre: tuple(found for found in PUBLISHED if found.parts == counted)
        for genre, counted in wanted.items()
    }


ALL = "all"
"""The row that pools the genres of a split."""


def corpus_statistics(
    sentences_by_split: Mapping[str, Sequence[Sentence]], labels: LabelScheme
) -> dict[str, dict[str, dict[str, Any]]]:
    """Counts and ceilings of each split, for each genre (sorted) and pooled as `all`.

    `characters` are code points; `entities` and `types` count `B-` tags (entities of a nested
    sentence), `official_chunks` what the official scorer sees, `inside_another` of a nested corpus;
    `ceilings` are F1 in percent, unrounded, by restoration policy.
    """
    return {
        split: {
            **{
                genre: _row([s for s in sentences if s.genre == genre], labels)
                for genre in sorted({sentence.genre for sentence in sentences})
            },
            ALL: _row(sentences, labels),
        }
        for split, sentences in sentences_by_split.items()
    }


def _row(sentences: Sequence[Sentence], labels: LabelScheme) -> dict[str, Any]:
    tags = Counter(tag for sentence in sentences for tag in sentence.tags or ())
    types = dict.fromkeys(labels.tags, 0)
    for tag, count in tags.items():
        prefix, type_ = split_tag(tag)
        if prefix == "B":
            types[type_] += count
    for sentence in sentences:
        for span in sentence.entities if sentence.tags is None else ():
            types[span.type] += 1
    nested = labels.nested
    with_entity = sum(1 for sentence in sentences if sentence.entities)
    return {
        "sentences": len(sentences),
        "sentences_with_entity": with_entity,
        "sentences_without_entity": len(sentences) - with_entity,
        "characters": sum(len(sentence.text) for sentence in sentences),
        "entities": sum(types.values()),
        "official_chunks": sum(len(sentence.entities) for sentence in sentences),
        **({"inside_another": sum(len(inside(s.entities)) for s in sentences)} if nested else {}),
        "types": types,
        "ceilings": {policy: ceiling(policy, sentences, nested=nested).f1 for policy in POLICIES},
    }


Row = Mapping[str, Any]
PublishedBySplit = Mapping[str, Mapping[str, Sequence[Published]]]
"""split -> genre -> what was published for the sentences of that column"""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table: ours, or (with `published`) one of others to the right of it."""

    split: str
    genre: str
    ours: Row
    published: Published | None = None


def statistics_markdown(
    stats: Mapping[str, Mapping[str, Row]],
    labels: LabelScheme,
    published: PublishedBySplit = MappingProxyType({}),
) -> str:
    """A Markdown table, a column for each split and genre, what was published to its right."""
    columns = _columns(stats, published)
    names = [
        each.published.name if each.published else f"{each.split} {each.genre}" for each in columns
    ]
    figures = [
        [heading, *(_cell(column, keys, total) for column in columns)]
        for heading, keys, total in _figures(labels)
    ]
    ceilings = [
        [
            f"ceiling `{policy}`",
            *("" if each.published else f"{each.ours['ceilings'][policy]:.2f}" for each in columns),
        ]
        for policy in POLICIES
    ]
    sources = [
        f"- {each.split} {each.genre}, {each.published.name}: {each.published.source}\n"
        for each in columns
        if each.published
    ]
    explained = (
        "\nIn brackets: how much more the files hold than was published "
        "(chmed_ner/data/README.md says why).\n\n"
    )
    table = markdown_table(["", *names], [*figures, *ceilings], "l" + "r" * len(columns))
    return table + (explained + "".join(sources) if sources else "")


def _columns(stats: Mapping[str, Mapping[str, Row]], published: PublishedBySplit) -> list[_Column]:
    columns = []
    for split, genres in stats.items():
        for genre, ours in genres.items():
            if genre != ALL or len(genres) != 2:
                theirs = published.get(split, {}).get(genre, ())
                columns += [_Column(split, genre, ours, each) for each in (None, *theirs)]
    return columns


def _figures(labels: LabelScheme) -> list[tuple[str, tuple[str, ...], str | None]]:
    """The heading of a row, the keys that lead to its figure, the key of what it is a part of."""
    return [
        ("sentences", ("sentences",), None),
        ("with an entity", ("sentences_with_entity",), "sentences"),
        ("without", ("sentences_without_entity",), "sentences"),
        ("characters", ("characters",), None),
        ("entities (`B-` tags)", ("entities",), None),
        *(
            (f"{label.tag} {label.traditional}", ("types", label.tag), "entities")
            for label in labels.labels
        ),
        ("official chunks", ("official_chunks",), None),
        *([("inside another", ("inside_another",), "entities")] if labels.nested else []),
    ]


def _figure(row: Row, keys: Sequence[str]) -> int | None:
    """The figure at the end of `keys`, None where the row has none."""
    found: Any = row
    for key in keys:
        found = found.get(key) if found is not None else None
    return found  # type: ignore[no-any-return]


def _cell(column: _Column, keys: Sequence[str], total: str | None) -> str:
    ours = _figure(column.ours, keys) or 0
    if column.published is None:
        share = total and column.ours[total] and f" ({100 * ours / column.ours[total]:.2f}%)"
        return f"{ours:,}{share or ''}"
    theirs = _figure(column.published.row, keys)
    if theirs is None:
        return ""
    return f"{theirs:,}" if ours == theirs else f"{theirs:,} ({ours - theirs:+,})"
