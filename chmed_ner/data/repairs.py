"""Repairs for training: stray and malformed tags written again, counted by kind.

The rule: a training sentence gets the tags of the chunks that the official scorer sees in it
(`entities.bio`), so training and scoring speak of the same entities. Sentences that are scored as
a test keep their tags as the file has them.

| found | becomes | kind |
|---|---|---|
| `I-X` where no entity goes on (at the start, after an outside tag) | `B-X` | `stray_inside` |
| `I-X` inside an entity of another type | `B-X` | `type_change` |
| a prefix other than `B` and `I`, or a type behind `O` (`i-X`, `O-X`) | `I-X` or `B-X`, `O` | \
`malformed_prefix` |
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from chmed_ner.entities.bio import OUTSIDE, repairs, split_tag, tags_of
from chmed_ner.entities.types import Sentence

KINDS = ("stray_inside", "type_change", "malformed_prefix")


def repaired(sentence: Sentence) -> Sentence:
    """`sentence` with the tags of its entities; itself where they are that already."""
    if sentence.tags is None or not repairs(sentence.tags):
        return sentence
    return replace(sentence, tags=tags_of(sentence.entities, len(sentence.text)))


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
