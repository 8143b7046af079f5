"""Corpus statistics: what the paper's Table 2 counts, and what no restoration policy can exceed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from chmed_ner.bio import split_tag
from chmed_ner.labels import LabelScheme
from chmed_ner.restore import POLICIES, restore
from chmed_ner.types import Mention, Scores, Sentence, Span

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
        "ceilings": {policy: ceiling(sentences, policy).f1 for policy in POLICIES},
    }


def ceiling(sentences: Sequence[Sentence], policy: str) -> Scores:
    """Gold mentions in text order, restored by `policy`, scored against the gold entities."""
    gold = predicted = correct = 0
    for sentence in sentences:
        entities = set(sentence.entities)
        mentions = [Mention(sentence.mention(span), span.type) for span in sentence.entities]
        spans: tuple[Span, ...] = restore(policy, sentence.text, mentions).spans
        gold += len(entities)
        predicted += len(spans)
        correct += len(entities.intersection(spans))
    return Scores(gold, predicted, correct)


def markdown(stats: Mapping[str, Mapping[str, Mapping[str, Any]]], labels: LabelScheme) -> str:
    """The statistics as a Markdown table, a column for each split and genre.

    Percentages: sentences with and without an entity of all sentences, a type of all entities. A
    split of one genre has no column `all`.
    """
    columns = [
        (f"{split} {genre}", row)
        for split, genres in stats.items()
        for genre, row in genres.items()
        if genre != ALL or len(genres) != 2
    ]
    rows = [
        ["sentences", *(_count(row["sentences"]) for _, row in columns)],
        *(
            [words, *(_part(row[key], row["sentences"]) for _, row in columns)]
            for words, key in (
                ("with an entity", "sentences_with_entity"),
                ("without", "sentences_without_entity"),
            )
        ),
        ["characters", *(_count(row["characters"]) for _, row in columns)],
        ["entities (`B-` tags)", *(_count(row["entities"]) for _, row in columns)],
        *(
            [
                f"{label.tag} {label.traditional}",
                *(_part(row["types"][label.tag], row["entities"]) for _, row in columns),
            ]
            for label in labels.labels
        ),
        ["official chunks", *(_count(row["official_chunks"]) for _, row in columns)],
        *(
            [f"ceiling `{policy}`", *(f"{row['ceilings'][policy]:.2f}" for _, row in columns)]
            for policy in POLICIES
        ),
    ]
    header = ["", *(name for name, _ in columns)]
    rule = ["---", *("---:" for _ in columns)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rule, *rows))


def _count(number: int) -> str:
    return f"{number:,}"


def _part(number: int, whole: int) -> str:
    return f"{number:,} ({100 * number / whole:.2f}%)" if whole else f"{number:,}"
