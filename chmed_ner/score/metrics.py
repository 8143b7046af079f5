"""The metrics of one run: every name of DESIGN section 5 that comes from predictions.

F1, precision and recall are in percent; a figure without a genre in its name is the mean over the
genres of the test split. `parse/..._rate` is a share from 0 to 1; `error/...` counts entities.
A metric is a line of a function below; `MEASURES` lists the functions.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from chmed_ner.entities import (
    POLICIES,
    Mention,
    Scores,
    Sentence,
    Span,
    ceiling,
    check_nested,
    gold_mentions,
    tags_of,
)
from chmed_ner.errors import InputError
from chmed_ner.score.breakdowns import (
    ERROR_KINDS,
    SEEN,
    UNSEEN,
    ScoredSentence,
    by_seen,
    error_kinds,
)
from chmed_ner.score.spans import (
    SpanPair,
    mention_scores,
    nesting_scores,
    scores_by_type,
    span_scores,
    tag_scores,
    target_ceiling_scores,
    total,
)

SpansById = Mapping[str, Sequence[Span]]
"""The entities of each sentence, by its id."""
MentionsById = Mapping[str, Sequence[Mention]]
ProblemsById = Mapping[str, Mapping[str, int]]
"""Sentence id -> reason -> how often."""

_NAME_PART = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a run answered to its test sentences, and what it takes to score that.

    `spans` are those of each restoration policy, `headline` names the policy that counts, unless
    the method `placed` its entities. `mentions` were listed, `targets` a perfect model lists.
    `training_mentions` are in the script of `text`. `completions`: how many there are. `nested`:
    entities may lie inside others, and there are no tags.
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
        mentions = {"listed mentions": self.mentions, "target mentions": self.targets}
        _check_ids(self.sentences, {**spans, **mentions})
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
                "the characters A-Z a-z 0-9 _ . - alone"
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


Metrics = dict[str, float]


def run_metrics(answers: Answers) -> Metrics:
    """`{metric name: number}` of one run, in a fixed order."""
    return {name: value for measure in MEASURES for name, value in measure(answers).items()}


def _test(answers: Answers) -> Metrics:
    """Figures of exact spans, the official ones: flat spans written as BIO tags are the chunks `conlleval` counts."""
    by_genre = {genre: scores_by_type(answers.pairs(genre)) for genre in answers.genres}
    metrics: Metrics = {}
    for figure in ("f1", "precision", "recall"):
        values = {g: getattr(total(by_type), figure) for g, by_type in by_genre.items()}
        metrics[f"test/{figure}"] = mean(list(values.values()))
        metrics.update({f"test/{genre}/{figure}": value for genre, value in values.items()})
    for genre, by_type in by_genre.items():
        for type_ in answers.types:
            metrics[f"test/{genre}/{type_}/f1"] = by_type.get(type_, Scores(0, 0, 0)).f1
    return metrics


def _intervals(answers: Answers) -> Metrics:
    from chmed_ner.score.resampling import bootstrap_f1, sentence_counts

    counts = {genre: sentence_counts(answers.pairs(genre)) for genre in answers.genres}
    found = bootstrap_f1(counts, resamples=answers.resamples, seed=answers.seed)
    named = {"test": found.macro, **{f"test/{g}": each for g, each in found.genres.items()}}
    return {
        f"{name}/f1_{bound}": getattr(interval, bound)
        for name, interval in named.items()
        for bound in ("low", "high")
    }


def _tags_and_seen(answers: Answers) -> Metrics:
    """A genre without gold entities on a side (seen, unseen) is left out of that side's mean."""
    predicted, known = answers.predicted, answers.training_mentions
    sides = [
        by_seen([ScoredSentence(s.text, s.entities, predicted[s.id]) for s in members], known)
        for members in answers.genres.values()
    ]
    tags: Metrics = {}
    if not answers.nested:
        tags["test/tag_f1"] = answers.macro_f1(
            lambda members: tag_scores(
                (s.tags or (), tags_of(predicted[s.id], len(s.text))) for s in members
            )
        )
    return {
        **tags,
        "test/seen_f1": mean([side[SEEN].f1 for side in sides if side[SEEN].gold]),
        "test/unseen_f1": mean([side[UNSEEN].f1 for side in sides if side[UNSEEN].gold]),
        "infer/mention_f1": answers.macro_f1(
            lambda members: mention_scores(
                (gold_mentions(s), answers.mentions[s.id]) for s in members
            )
        ),
    }


def _nesting(answers: Answers) -> Metrics:
    """Of a nested corpus; a genre without gold entities in a part is left out of its mean."""
    if not answers.nested:
        return {}
    genres = [nesting_scores(answers.pairs(genre)) for genre in answers.genres]
    return {
        f"nested/{part}/{figure}": mean([getattr(g[part], figure) for g in genres if g[part].gold])
        for part in genres[0]
        for figure in ("f1", "precision", "recall")
    }


def _restoration(answers: Answers) -> Metrics:
    metrics: Metrics = {}
    for policy, spans in answers.spans.items():
        f1s = [
            span_scores((sentence.entities, spans[sentence.id]) for sentence in members).f1
            for members in answers.genres.values()
        ]
        highest = partial(ceiling, policy, nested=answers.nested)
        reachable = partial(
            target_ceiling_scores, policy, listed=answers.targets, nested=answers.nested
        )
        metrics[f"restore/{policy}/f1"] = mean(f1s)
        metrics[f"restore/{policy}/ceiling_f1"] = answers.macro_f1(highest)
        metrics[f"restore/{policy}/target_ceiling_f1"] = answers.macro_f1(reachable)
    return metrics


def _parse_rates(answers: Answers) -> Metrics:
    """The share of completions with at least one problem of a reason, or of any."""
    problems, completions = answers.problems, answers.completions
    if unknown := problems.keys() - {sentence.id for sentence in answers.sentences}:
        raise InputError(f"problems, sentence {min(unknown)}: not a sentence of the test split")
    affected = [{r for r, n in by_reason.items() if n} for by_reason in problems.values()]
    with_problem = sum(map(bool, affected))
    if with_problem > completions:
        raise InputError(f"{with_problem} sentences with problems, but {completions} completions")
    counts = Counter(reason for found in affected for reason in found)
    reasons = dict.fromkeys([*answers.reasons, *sorted(counts)])
    rates = {f"parse/{r}_rate": counts[r] for r in reasons} | {"parse/problem_rate": with_problem}
    return {name: n / completions if completions else 0.0 for name, n in rates.items()}


def _errors(answers: Answers) -> Metrics:
    found: Counter[str] = Counter()
    for sentence in answers.sentences:
        found.update(error_kinds(sentence.entities, answers.predicted[sentence.id]))
    return {f"error/{kind}": float(found[kind]) for kind in ERROR_KINDS if kind != "correct"}


MEASURES: tuple[Callable[[Answers], Metrics], ...] = (
    _test, _intervals, _tags_and_seen, _nesting, _restoration, _parse_rates, _errors,
)  # fmt: skip
"""Every function that measures something, in the order of the metrics."""
