"""What is wrong in training data: broken tags are repaired and counted, conflicting labels listed.

A training sentence gets the tags of the chunks that the official scorer sees in it, so training and
scoring speak of the same entities; test sentences keep theirs. README.md has the kinds of repairs.
A conflict is one string with several types, or one sentence annotated in several ways.
"""

import csv
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chmed_ner.entities import OUTSIDE, Sentence, Span, split_tag, tags_of
from chmed_ner.files import markdown_table, replacing


@dataclass(frozen=True, slots=True)
class ConflictingMention:
    """A string that is an entity of more than one type; `types` by frequency, then by name."""

    text: str
    types: Mapping[str, int]

    @property
    def entities(self) -> int:
        """How many they are."""
        return sum(self.types.values())


@dataclass(frozen=True, slots=True)
class ConflictingSentence:
    """A text that occurs several times with other entities; those of each occurrence, by id."""

    text: str
    entities: Mapping[str, tuple[Span, ...]]

    @property
    def shared(self) -> frozenset[Span]:
        """The entities that all occurrences have."""
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
    """The texts that occur more than once with other entities, in corpus order."""
    occurrences: defaultdict[str, dict[str, tuple[Span, ...]]] = defaultdict(dict)
    for sentence in sentences:
        occurrences[sentence.text][sentence.id] = sentence.entities
    return tuple(
        ConflictingSentence(text, entities)
        for text, entities in occurrences.items()
        if len(set(entities.values())) > 1
    )


log = logging.getLogger(__name__)

KINDS = ("stray_inside", "type_change", "malformed_prefix")


def repaired(sentence: Sentence) -> Sentence:
    """`sentence` with the tags of its entities; itself where it has them already."""
    if sentence.tags is None:
        return sentence
    tags = tags_of(sentence.entities, len(sentence.text))
    return sentence if tags == sentence.tags else replace(sentence, tags=tags)


def repair_counts(sentences: Iterable[Sentence]) -> dict[str, int]:
    """How many tags `repaired` changes: `repaired_tags`, and of each kind `repaired_<kind>`."""
    found: Counter[str] = Counter()
    for sentence in sentences:
        after = repaired(sentence)
        if after is not sentence and sentence.tags and after.tags:
            found.update(_kinds(sentence.tags, after.tags))
    return {
        "repaired_tags": found.total(),
        **{f"repaired_{kind}": found[kind] for kind in KINDS},
    }


def _kinds(before: Sequence[str], after: Sequence[str]) -> Iterable[str]:
    previous = OUTSIDE
    for tag, new in zip(before, after, strict=True):
        if tag != new:
            prefix, type_ = split_tag(tag)
            prefix_before, type_before = split_tag(previous)
            if prefix != "I":
                yield "malformed_prefix"
            elif prefix_before == OUTSIDE or type_before == type_:
                yield "stray_inside"
            else:
                yield "type_change"
        previous = tag


def training_counts(training: Sequence[Sentence], leaked: int) -> dict[str, int]:
    """The counts of the `training` sentences as read, of which `leaked` were dropped."""
    return {
        **repair_counts(training),
        "leaked_sentences": leaked,
        "conflicting_mentions": len(conflicting_mentions(training)),
        "conflicting_sentences": len(conflicting_sentences(training)),
    }


def log_changes(name: str, counts: Mapping[str, int]) -> None:
    """Say what was repaired and dropped of the dataset `name`."""
    kinds = ", ".join(f"{counts[f'repaired_{kind}']} {kind}" for kind in KINDS)
    for key, message in (
        ("repaired_tags", f"tags of the training files repaired ({kinds})"),
        (
            "empty_sentences_left_out",
            "training sentences without an entity left out (dataset.empty_share)",
        ),
        ("leaked_sentences", "training sentences dropped that are also test sentences"),
        (
            "entities_across_cuts",
            "entities lie across a cut of a long text: no model is asked for them, they count as "
            "gold (dataset.max_characters)",
        ),
    ):
        if counts.get(key):
            log.info("%s: %d %s", name, counts[key], message)


def conflicts_markdown(split: str, sentences: Sequence[Sentence]) -> str:
    """Both listings of a split as Markdown, with the numbers found."""
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
    """Write `conflicting_mentions.csv`, `conflicting_sentences.csv`; OSError: cannot be written."""
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
    """Text, id, and the entities that are not shared (string, type, place)."""
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
    cells = [[_cell(text) for text in row] for row in rows]
    return markdown_table(header, cells, "l" * len(header)) if cells else "None.\n"


def _cell(text: str) -> str:
    spoken = "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in text)
    return "".join(f"\\{c}" if c in r"\`*_[]<>|~" else c for c in spoken)
