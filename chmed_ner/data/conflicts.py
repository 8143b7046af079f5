"""Conflicting labels: one string with several types, one sentence annotated in several ways."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chmed_ner.entities.types import Sentence, Span
from chmed_ner.files import markdown_table, replacing


@dataclass(frozen=True, slots=True)
class ConflictingMention:
    """A string that is an entity of more than one type; `types` by frequency, then by name."""

    text: str
    types: Mapping[str, int]

    @property
    def entities(self) -> int:
        """How many entities have this string."""
        return sum(self.types.values())


@dataclass(frozen=True, slots=True)
class ConflictingSentence:
    """A text that occurs several times with other entities; the entities of each occurrence, by id.

    `shared` are the entities that all occurrences have.
    """

    text: str
    entities: Mapping[str, tuple[Span, ...]]

    @property
    def shared(self) -> frozenset[Span]:
        """The entities on which all occurrences agree."""
        return frozenset.intersection(*map(frozenset, self.entities.values()))


def conflicting_mentions(sentences: Iterable[Sentence]) -> tuple[ConflictingMention, ...]:
    """The strings annotated with more than one type, the most frequent first."""
    types: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        for span in sentence.entities:
            types[sentence.mention(span)][span.type] += 1
    found = (
        ConflictingMention(text, dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))))
        for text, counts in types.items()
        if len(counts) > 1
    )
    return tuple(sorted(found, key=lambda mention: (-mention.entities, mention.text)))


def conflicting_sentences(sentences: Iterable[Sentence]) -> tuple[ConflictingSentence, ...]:
    """The texts that occur more than once, not always with the same entities, in corpus order.

    Compared is what training reads: tags that differ, yet are repaired to the same, do not count.
    """
    occurrences: defaultdict[str, dict[str, tuple[Span, ...]]] = defaultdict(dict)
    for sentence in sentences:
        occurrences[sentence.text][sentence.id] = sentence.entities
    return tuple(
        ConflictingSentence(text, entities)
        for text, entities in occurrences.items()
        if len(set(entities.values())) > 1
    )


def conflicts_markdown(split: str, sentences: Sequence[Sentence]) -> str:
    """Both listings of a split as Markdown: each a heading with the number found, and a table."""
    mentions, texts = conflicting_mentions(sentences), conflicting_sentences(sentences)
    spelled = [
        [found.text, f"{found.entities:,}", ", ".join(f"{t} {n:,}" for t, n in found.types.items())]
        for found in mentions
    ]
    return (
        f"## {split}: {len(mentions):,} strings with more than one type\n\n"
        + _table(["string", "entities", "types"], spelled)
        + f"\n## {split}: {len(texts):,} sentences annotated in more than one way\n\n"
        + _table(["sentence", "id", "entities that not all occurrences have"], _occurrences(texts))
    )


def write_conflicts(
    directory: Path, splits: Mapping[str, Sequence[Sentence]], types: Sequence[str]
) -> None:
    """Write `conflicting_mentions.csv` (a column for each of `types`) and
    `conflicting_sentences.csv` (a row for each occurrence), UTF-8, atomically.

    Raises OSError where the files cannot be written.
    """
    mentions: list[list[Any]] = [["split", "string", "entities", *types]]
    texts: list[list[Any]] = [["split", "sentence", "id", "differing_entities"]]
    for split, sentences in splits.items():
        for found in conflicting_mentions(sentences):
            counts = [found.types.get(type_, 0) for type_ in types]
            mentions.append([split, found.text, found.entities, *counts])
        texts += [[split, *row] for row in _occurrences(conflicting_sentences(sentences))]
    for name, rows in (("conflicting_mentions", mentions), ("conflicting_sentences", texts)):
        with replacing(directory / f"{name}.csv") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def _occurrences(texts: Iterable[ConflictingSentence]) -> list[list[str]]:
    """Text, id, and the entities that are not shared (string, type, place) of each occurrence."""
    return [
        [
            found.text,
            id_,
            "; ".join(
                f"{found.text[span.start : span.end]} {span.type} [{span.start},{span.end})"
                for span in entities
                if span not in found.shared
            ),
        ]
        for found in texts
        for id_, entities in found.entities.items()
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "None.\n"
    cells = [[_cell(text) for text in row] for row in rows]
    return markdown_table(header, cells, "l" * len(header))


def _cell(text: str) -> str:
    """`text` so that it neither ends a Markdown cell nor formats anything."""
    spoken = "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in text)
    return "".join(f"\\{c}" if c in r"\`*_[]<>|~" else c for c in spoken)
