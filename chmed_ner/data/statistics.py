"""Corpus statistics: what the paper's Table 2 counts, and what no restoration policy can exceed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from chmed_ner.data.published import Published
from chmed_ner.entities.bio import split_tag
from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.restoration import POLICIES, ceiling
from chmed_ner.entities.types import Sentence

ALL = "all"
"""The row that pools the genres of a split."""


def statistics(
    sentences_by_split: Mapping[str, Sequence[Sentence]], labels: LabelScheme
) -> dict[str, dict[str, dict[str, Any]]]:
    """Counts and ceilings of each split, for each genre (sorted) and pooled as `all`.

    `characters` are code points; `entities` and `types` count `B-` tags, `official_chunks` the
    chunks of the official scorer; a sentence has an entity when it has a chunk. `ceilings` maps a
    restoration policy to the F1 (percent, unrounded) of restoring the gold mentions, listed in text
    order with their repeats.
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
    with_entity = sum(1 for sentence in sentences if sentence.entities)
    return {
        "sentences": len(sentences),
        "sentences_with_entity": with_entity,
        "sentences_without_entity": len(sentences) - with_entity,
        "characters": sum(len(sentence.text) for sentence in sentences),
        "entities": sum(types.values()),
        "official_chunks": sum(len(sentence.entities) for sentence in sentences),
        "types": types,
        "ceilings": {policy: ceiling(policy, sentences).f1 for policy in POLICIES},
    }


Row = Mapping[str, Any]
PublishedBySplit = Mapping[str, Mapping[str, Sequence[Published]]]
"""split -> genre -> what was published for the sentences of that column"""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table: ours, or (with `row` published by others) one to the right of it."""

    name: str
    ours: Row
    published: Row | None = None


def markdown(
    stats: Mapping[str, Mapping[str, Row]],
    labels: LabelScheme,
    published: PublishedBySplit = MappingProxyType({}),
) -> str:
    """The statistics as a Markdown table, a column for each split and genre, with what was
    published for it to its right and the sources below.

    Percentages: sentences with and without an entity of all sentences, a type of all entities. A
    published figure that differs has our figure minus it in brackets. A split of one genre has no
    column `all`.
    """
    columns = _columns(stats, published)
    figures = [
        [heading, *(_cell(column, keys, whole) for column in columns)]
        for heading, keys, whole in _figures(labels)
    ]
    ceilings = [
        [f"ceiling `{policy}`", *(_ceiling(column, policy) for column in columns)]
        for policy in POLICIES
    ]
    header = ["", *(column.name for column in columns)]
    rule = ["---", *("---:" for _ in columns)]
    rows = (header, rule, *figures, *ceilings)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows) + _sources(stats, published)


def _shown(stats: Mapping[str, Mapping[str, Row]]) -> list[tuple[str, str]]:
    """Split and genre of our columns."""
    return [
        (split, genre)
        for split, genres in stats.items()
        for genre in genres
        if genre != ALL or len(genres) != 2
    ]


def _columns(stats: Mapping[str, Mapping[str, Row]], published: PublishedBySplit) -> list[_Column]:
    columns = []
    for split, genre in _shown(stats):
        ours = stats[split][genre]
        columns.append(_Column(f"{split} {genre}", ours))
        for found in published.get(split, {}).get(genre, ()):
            columns.append(_Column(found.name, ours, found.row))
    return columns


def _sources(stats: Mapping[str, Mapping[str, Row]], published: PublishedBySplit) -> str:
    lines = [
        f"- {split} {genre}, {found.name}: {found.source}\n"
        for split, genre in _shown(stats)
        for found in published.get(split, {}).get(genre, ())
    ]
    if not lines:
        return ""
    return (
        "\nIn brackets: how much more the files hold than was published "
        "(chmed_ner/data/README.md says why).\n\n" + "".join(lines)
    )


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
    ]


def _figure(row: Row, keys: Sequence[str]) -> int | None:
    """The figure at the end of `keys`, None where the row has none."""
    found: Any = row
    for key in keys:
        found = found.get(key) if found is not None else None
    return None if found is None else int(found)


def _cell(column: _Column, keys: Sequence[str], whole: str | None) -> str:
    ours = _figure(column.ours, keys) or 0
    if column.published is None:
        return _count(ours) if whole is None else _part(ours, column.ours[whole])
    theirs = _figure(column.published, keys)
    if theirs is None:
        return ""
    return _count(theirs) if ours == theirs else f"{_count(theirs)} ({ours - theirs:+,})"


def _ceiling(column: _Column, policy: str) -> str:
    return f"{column.ours['ceilings'][policy]:.2f}" if column.published is None else ""


def _count(number: int) -> str:
    return f"{number:,}"


def _part(number: int, whole: int) -> str:
    return f"{number:,} ({100 * number / whole:.2f}%)" if whole else f"{number:,}"
