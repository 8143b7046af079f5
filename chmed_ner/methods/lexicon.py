"""`method=lexicon`: the longest known mentions, left to right. The floor of every table."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.data.corpus import Corpus
from chmed_ner.entities.lexicon import Lexicon, entries_as_json, entries_from_json
from chmed_ner.entities.types import Span
from chmed_ner.methods.features import lexicon_of
from chmed_ner.methods.fitted import Fitted, numbers, validation_f1
from chmed_ner.run.experiment import Experiment
from chmed_ner.track import Tracker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LexiconMatcher:
    """A lexicon with the threshold that a string's probability must reach."""

    lexicon: Lexicon
    threshold: float

    def find(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """The longest matches of each text, left to right."""
        return [self.lexicon.spans(text, self.threshold) for text in texts]

    def close(self) -> None:
        """It holds nothing to free."""


@dataclass(frozen=True, kw_only=True)
class LexiconMethod(Fitted):
    """Longest match against the mention strings of the training split.

    A string counts when the share of its occurrences that are an entity reaches a threshold: the
    one with the best F1 on the validation split, the lowest of equals. Kept in
    `model/lexicon.json`: `{threshold, validation_f1, entries: {string: [type, share]}}`.
    """

    name = "lexicon"

    description_file = "lexicon.json"

    thresholds: Annotated[Sequence[float], numbers(0, 1)]

    @property
    def choices(self) -> int:
        """The thresholds."""
        return len(self.thresholds)

    def fit(
        self,
        experiment: Experiment,  # noqa: ARG002
        corpus: Corpus,
        directory: Path,
        tracker: Tracker,
    ) -> None:
        """Count, choose the threshold, write the lexicon."""
        lexicon = lexicon_of(corpus.train, corpus.labels.tags)
        scores: dict[float, float] = {}
        for step, threshold in enumerate(sorted(map(float, self.thresholds))):
            found = validation_f1(LexiconMatcher(lexicon, threshold), corpus.validation)
            scores[threshold] = found
            if corpus.validation:
                tracker.log({"train/dev_f1": found}, step)
        best = max(scores, key=lambda threshold: (scores[threshold], -threshold))
        log.info("threshold %g: validation F1 %.2f", best, scores[best])
        content = {
            "threshold": best,
            "validation_f1": {str(threshold): f1 for threshold, f1 in scores.items()},
            "entries": entries_as_json(lexicon),
        }
        self.write_description(directory, content)

    def reopen(self, directory: Path, backbone: Backbone | None) -> LexiconMatcher:  # noqa: ARG002
        """The lexicon that was written, with its threshold."""
        return self.read_description(
            directory,
            lambda content: LexiconMatcher(
                entries_from_json(content["entries"]), content["threshold"] + 0.0
            ),
        )
