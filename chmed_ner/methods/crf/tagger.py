"""A fitted CRF that tags text: legal BIO tags, turned into spans."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chmed_ner.entities.bio import OUTSIDE, chunks, may_follow
from chmed_ner.entities.lexicon import Lexicon
from chmed_ner.entities.types import Span
from chmed_ner.errors import InputError
from chmed_ner.methods.features import SentenceFeatures


def legal(tags: Sequence[str]) -> bool:
    """Whether the tags of a sentence are legal BIO."""
    return all(map(may_follow, (OUTSIDE, *tags), tags))


def legal_tags(labels: Sequence[str], scores: Sequence[Sequence[float]]) -> list[str]:
    """The legal tags with the highest sum of scores, one row of scores (by label) a character.

    Of equals the first in `labels` wins. Empty for no row.
    """
    if not scores:
        return []
    best = [(0.0 if may_follow(OUTSIDE, tag) else float("-inf")) for tag in labels]
    best = [start + score for start, score in zip(best, scores[0], strict=True)]
    sources: list[list[int]] = []
    for row in scores[1:]:
        source = [
            max((p for p, tag in enumerate(labels) if may_follow(tag, label)), key=best.__getitem__)
            for label in labels
        ]
        best = [best[p] + score for p, score in zip(source, row, strict=True)]
        sources.append(source)
    at = max(range(len(labels)), key=best.__getitem__)
    path = [at]
    for source in reversed(sources):
        at = source[at]
        path.append(at)
    return [labels[place] for place in reversed(path)]


class CRFTagger:
    """A model file of CRFsuite with the lexicon that gives features; InputError if it is broken."""

    def __init__(self, path: Path, lexicon: Lexicon) -> None:
        import pycrfsuite

        self._features = SentenceFeatures(lexicon)
        self._tagger: Any = pycrfsuite.Tagger()
        try:
            self._tagger.open(str(path))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a CRFsuite model ({error})") from None

    def find(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """The entities of each text."""
        return [chunks(self.tags(text)) for text in texts]

    def tags(self, text: str) -> list[str]:
        """The likeliest legal tags of `text`, one a character.

        CRFsuite's Viterbi knows no forbidden transition. Where its path breaks BIO (rare: such
        transitions are learnt to be bad), the legal path with the highest product of marginal
        probabilities is taken.
        """
        if not text:
            return []
        tags: list[str] = self._tagger.tag(self._features(text))
        if legal(tags):
            return tags
        labels = sorted(self._tagger.labels())
        return legal_tags(
            labels,
            [[self._log_marginal(tag, at) for tag in labels] for at in range(len(text))],
        )

    def close(self) -> None:
        """Free the model."""
        self._tagger.close()

    def _log_marginal(self, tag: str, at: int) -> float:
        return math.log(max(self._tagger.marginal(tag, at), 1e-300))
