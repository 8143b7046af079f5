"""What was found and changed in the training data: counted and logged."""

import logging
from collections.abc import Mapping, Sequence

from chmed_ner.data.conflicts import conflicting_mentions, conflicting_sentences
from chmed_ner.data.repairs import KINDS, repair_counts
from chmed_ner.entities.types import Sentence

log = logging.getLogger(__name__)

NOTES = {
    "empty_sentences_left_out": "training sentences without an entity left out "
    "(dataset.empty_share)",
    "leaked_sentences": "training sentences dropped that are also test sentences",
    "retyped_entities": "training entities given their string's majority type "
    "(dataset.repair_conflicts)",
    "added_copies": "copies of training sentences with other entities added "
    "(dataset.replace_entities)",
}
"""What is logged of the counts."""


def counted(training: Sequence[Sentence], leaked: int) -> dict[str, int]:
    """The counts of the `training` sentences as read, of which `leaked` were dropped."""
    return {
        **repair_counts(training),
        "leaked_sentences": leaked,
        "conflicting_mentions": len(conflicting_mentions(training)),
        "conflicting_sentences": len(conflicting_sentences(training)),
    }


def log_changes(name: str, counts: Mapping[str, int]) -> None:
    """Say what was repaired, dropped and added of the dataset `name`."""
    if counts["repaired_tags"]:
        kinds = ", ".join(f"{counts[f'repaired_{kind}']} {kind}" for kind in KINDS)
        log.info(
            "%s: %d tags of the training files repaired (%s)", name, counts["repaired_tags"], kinds
        )
    for key, message in NOTES.items():
        if counts[key]:
            log.info("%s: %d %s", name, counts[key], message)
