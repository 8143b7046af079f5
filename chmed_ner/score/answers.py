"""What a run answered to its test sentences, checked before it is scored."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from chmed_ner.entities.restoration import POLICIES
from chmed_ner.entities.types import Mention, Scores, Sentence, Span, tags_of
from chmed_ner.errors import InputError
from chmed_ner.score.spans import SpanPair

SpansById = Mapping[str, Sequence[Span]]
"""The entities of each sentence, by its id."""

MentionsById = Mapping[str, Sequence[Mention]]

ProblemsById = Mapping[str, Mapping[str, int]]
"""Sentence id -> reason -> how often."""

_NAME_PART = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a run answered to its test sentences, and what it takes to score that.

    `sentences` have tags, entities and model text. `spans`: policy -> the entities it restored;
    `headline` names the policy of `test/` and `error/`, unless the method `placed` its entities
    itself. `mentions` is what the model listed, in the script of `model_text`; `targets` what the
    prompt format would write for gold. `training_mentions` are the mention strings of the training
    split, in the script of `text`. Each of `types` has a figure in each genre. `problems` are those
    of `completions` in all; each of `reasons` has a rate. `seed` draws the `resamples`.
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

    def __post_init__(self) -> None:
        """Raise InputError for what does not fit.

        That is a sentence without gold, ids that do not agree, spans outside their sentence or
        overlapping, an unknown policy, and a genre, type or reason that no metric can be named by.
        """
        _check(self)

    @cached_property
    def genres(self) -> Mapping[str, Sequence[Sentence]]:
        """The test sentences of each genre."""
        genres: dict[str, list[Sentence]] = {}
        for sentence in self.sentences:
            genres.setdefault(sentence.genre, []).append(sentence)
        return genres

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
    """InputError for a genre, type or reason whose characters a metric name cannot hold."""
    for part in parts:
        if not _NAME_PART.fullmatch(part):
            raise InputError(
                f"{part!r} cannot be part of a metric name; name genres, types and reasons with "
                "the characters A-Z a-z 0-9 _ . - alone"
            )


def _check(answers: Answers) -> None:
    for sentence in answers.sentences:
        if sentence.tags is None:
            raise InputError(f"sentence {sentence.id}: has no gold tags; score a split that has")
    if not answers.sentences:
        raise InputError("no test sentence to score; the split is empty")
    met = [reason for by_reason in answers.problems.values() for reason in by_reason]
    check_names([*answers.genres, *answers.types, *answers.reasons, *met])
    _check_policies(answers)
    placed = {} if answers.placed is None else {"the method": answers.placed}
    spans = {f"spans of {name}": each for name, each in {**answers.spans, **placed}.items()}
    mentions = {"listed mentions": answers.mentions, "target mentions": answers.targets}
    _check_ids(answers.sentences, {**spans, **mentions})
    for what, predicted in spans.items():
        for sentence in answers.sentences:
            try:
                tags_of(predicted[sentence.id], len(sentence.text))
            except ValueError as error:
                raise InputError(f"{what}, sentence {sentence.id}: {error}") from None


def _check_policies(answers: Answers) -> None:
    scored = answers.spans
    if unknown := set(scored) - POLICIES.keys():
        raise InputError(f"unknown restoration {min(unknown)!r}; choose from {', '.join(POLICIES)}")
    if answers.placed is None and answers.headline not in scored:
        raise InputError(
            f"restoration {answers.headline!r} was not scored; have: {', '.join(scored)}"
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
