"""What a run answered, checked against its test sentences: what metrics are computed from."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from chmed_ner.entities import (
    POLICIES,
    Mention,
    Scores,
    Sentence,
    Span,
    check_nested,
    pieces,
    tags_of,
)
from chmed_ner.errors import InputError
from chmed_ner.score.calibration import RAW, Calibration
from chmed_ner.score.promises import Promise
from chmed_ner.score.spans import SpanPair

SpansById = Mapping[str, Sequence[Span]]
"""The entities of each sentence, by its id."""
MentionsById = Mapping[str, Sequence[Mention]]
ProblemsById = Mapping[str, Mapping[str, int]]
"""Sentence id -> reason -> how often."""

_NAME_PART = re.compile(r"[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a run answered to its test sentences, and what it takes to score that.

    `spans` are those of each restoration policy, `headline` names the policy that counts, unless
    the method `placed` its entities. `mentions` were listed, `targets` a perfect model lists, for
    each piece of a sentence where pieces were asked for.
    `training_mentions` are in the script of `text`. `completions`: how many there are. `nested`:
    entities may lie inside others, and there are no tags. Confidences are raw; `calibration` says
    what they are worth, `promise` what validation has shown of them.
    """

    sentences: Sequence[Sentence]
    spans: Mapping[str, SpansById]
    headline: str
    placed: SpansById | None = None
    mentions: MentionsById
    targets: MentionsById
    training_mentions: Collection[str]
    types: Sequence[str]
    problems: ProblemsById
    completions: int
    reasons: Sequence[str] = ()
    seed: int
    resamples: int = 1000
    nested: bool = False
    calibration: Calibration = RAW
    promise: Promise | None = None

    def __post_init__(self) -> None:
        """InputError for a sentence without gold, ids that do not agree, illegal spans or such that
        leave their sentence, an unknown policy, and a name that no metric can have."""
        for sentence in self.sentences:
            if sentence.tags is None and not self.nested:
                raise InputError(
                    f"sentence {sentence.id}: has no gold tags; score a split that has"
                )
        if not self.sentences:
            raise InputError("no test sentence to score; the split is empty")
        met = [reason for by_reason in self.problems.values() for reason in by_reason]
        check_names([*self.genres, *self.types, *self.reasons, *met])
        if unknown := self.spans.keys() - POLICIES.keys():
            raise InputError(
                f"unknown restoration {min(unknown)!r}; choose from {', '.join(POLICIES)}"
            )
        if self.placed is None and self.headline not in self.spans:
            raise InputError(
                f"restoration {self.headline!r} was not scored; have: {', '.join(self.spans)}"
            )
        placed = {} if self.placed is None else {"the method": self.placed}
        spans = {f"spans of {name}": each for name, each in {**self.spans, **placed}.items()}
        _check_ids(self.sentences, {**spans, "listed mentions": self.mentions})
        asked = [piece for each in self.sentences for _, piece in pieces(each, self.targets)]
        _check_ids(asked, {"target mentions": self.targets})
        check = check_nested if self.nested else tags_of
        for what, predicted in spans.items():
            for sentence in self.sentences:
                try:
                    check(predicted[sentence.id], len(sentence.text))
                except ValueError as error:
                    raise InputError(f"{what}, sentence {sentence.id}: {error}") from None

    @cached_property
    def genres(self) -> Mapping[str, Sequence[Sentence]]:
        """The test sentences of each genre."""
        names = dict.fromkeys(sentence.genre for sentence in self.sentences)
        return {name: [s for s in self.sentences if s.genre == name] for name in names}

    @property
    def predicted(self) -> SpansById:
        """The entities that count."""
        return self.spans[self.headline] if self.placed is None else self.placed

    def pairs(self, genre: str) -> list[SpanPair]:
        """The gold entities of each sentence of a genre, and those that count."""
        predicted = self.predicted
        return [(sentence.entities, predicted[sentence.id]) for sentence in self.genres[genre]]

    def macro_f1(self, score: Callable[[Sequence[Sentence]], Scores]) -> float:
        """The mean over genres of the F1 of `score`."""
        return mean([score(members).f1 for members in self.genres.values()])


def check_names(parts: Iterable[str]) -> None:
    """InputError for a genre, type or reason with characters that a metric name cannot hold."""
    for part in parts:
        if not _NAME_PART.fullmatch(part):
            raise InputError(
                f"{part!r} cannot be part of a metric name; name genres, types and reasons with "
                "letters, digits, `_`, `.` and `-` alone"
            )


def _check_ids(sentences: Sequence[Sentence], answers: Mapping[str, Mapping[str, object]]) -> None:
    ids = Counter(sentence.id for sentence in sentences)
    if len(ids) < len(sentences):
        raise InputError(f"sentence id {ids.most_common(1)[0][0]} occurs twice in the test split")
    for what, by_id in answers.items():
        for id_ in sorted(ids.keys() ^ by_id.keys())[:1]:
            problem = "missing" if id_ in ids else "not a sentence of the test split"
            raise InputError(f"{what}, sentence {id_}: {problem}; ids must agree on both sides")


def mean(figures: Sequence[float]) -> float:
    """The mean of some figures, 0 of none."""
    return sum(figures) / len(figures) if figures else 0.0
