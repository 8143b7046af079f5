"""`method=lexicon`: the longest known mention, left to right."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from chmed_ner.backbone import Backbone
from chmed_ner.data import Corpus
from chmed_ner.entities import Lexicon, Span, entries_as_json, entries_from_json
from chmed_ner.methods.features import lexicon_of
from chmed_ner.methods.fitted import Fitted, lists_of, numbers, validation_f1
from chmed_ner.methods.listed import with_lists
from chmed_ner.run import Experiment
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

    def judge(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> list[tuple[Span, ...]]:
        """The given entities with their shares."""
        return list(map(self.lexicon.judged, texts, spans))

    def close(self) -> None:
        """It holds nothing to free."""


@dataclass(frozen=True, kw_only=True)
class LexiconMethod(Fitted):
    """Longest match against the mention strings of the training split, in `model/lexicon.json`.

    A string counts when the share of its occurrences that are an entity reaches a threshold: the
    one with the best F1 on the validation split, the lowest of equals. Strings of word lists that
    training does not know have a probability instead of a share.
    """

    name = "lexicon"
    uses = ("gazetteer",)

    description_file = "lexicon.json"

    thresholds: Annotated[Sequence[float], numbers(0, 1)]

    @property
    def choices(self) -> int:
        """The thresholds."""
        return len(self.thresholds)

    def fit(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: Tracker
    ) -> None:
        """Count, choose the threshold, write the lexicon."""
        known = lexicon_of(corpus.train, corpus.labels.tags)
        lexicon = with_lists(known, lists_of(experiment, corpus).values(), corpus.train)
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

    def reopen(self, directory: Path, backbone: Backbone | None) -> LexiconMatcher:
        """The lexicon that was written, with its threshold."""
        return self.read_description(
            directory,
            lambda content: LexiconMatcher(
                entries_from_json(content["entries"]), content["threshold"] + 0.0
            ),
        )
