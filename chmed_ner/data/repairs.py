"""Training data repaired: stray and malformed tags written again, all that changes counted, logged.

The rule: a training sentence gets the tags of the chunks that the official scorer sees in it
(`entities.bio`), so training and scoring speak of the same entities. Sentences that are scored as
a test keep their tags as the file has them.

| found | becomes | kind |
|---|---|---|
| `I-X` where no entity goes on (at the start, after an outside tag) | `B-X` | `stray_inside` |
| `I-X` inside an entity of another type | `B-X` | `type_change` |
| a prefix other than `B` and `I`, or `O` with a type (`i-X`, `O-X`) | `I-X` or `B-X`, `O` | \
`malformed_prefix` |
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from chmed_ner.data.conflicts import conflicting_mentions, conflicting_sentences
from chmed_ner.entities.bio import OUTSIDE, split_tag, tags_of
from chmed_ner.entities.types import Sentence

log = logging.getLogger(__name__)

KINDS = ("stray_inside", "type_change", "malformed_prefix")
NOTES = {
    "empty_sentences_left_out": "training sentences without an entity left out "
    "(dataset.empty_share)",
    "leaked_sentences": "training sentences dropped that are also test sentences",
}
"""What is logged of the counts besides the repairs."""


def repaired(sentence: Sentence) -> Sentence:
    """`sentence` with the tags of its entities; itself where they are that already."""
    if sentence.tags is None:
        return sentence
    tags = tags_of(sentence.entities, len(sentence.text))
    return sentence if tags == sentence.tags else replace(sentence, tags=tags)


def repair_counts(sentences: Iterable[Sentence]) -> dict[str, int]:
    """How many tags `repaired` changes: `repaired_tags`, and `repaired_<kind>` for each of `KINDS`,
    which add up to it. Sentences without tags have nothing to repair.
    """
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
    if counts["repaired_tags"]:
        kinds = ", ".join(f"{counts[f'repaired_{kind}']} {kind}" for kind in KINDS)
        log.info(
            "%s: %d tags of the training files repaired (%s)", name, counts["repaired_tags"], kinds
        )
    for key, message in NOTES.items():
        if counts[key]:
            log.info("%s: %d %s", name, counts[key], message)
