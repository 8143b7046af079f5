"""The metrics of one run: every name of DESIGN section 5 that comes from predictions.

F1, precision and recall are in percent; a figure without a genre in its name is the mean over the
genres of the test split. `parse/..._rate` is a share from 0 to 1; `error/...` counts entities.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from chmed_ner.entities.bio import tags_of
from chmed_ner.entities.restoration import POLICIES
from chmed_ner.entities.types import Mention, Scores, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.score.ceilings import ceiling_scores, gold_mentions, target_ceiling_scores
from chmed_ner.score.error_kinds import KINDS, error_kinds
from chmed_ner.score.spans import (
    SpanPair,
    mention_scores,
    scores_by_type,
    seen_scores,
    span_scores,
    tag_scores,
    total,
)

Spans = Sequence[Span]
Mentions = Sequence[Mention]
Genres = Mapping[str, Sequence[Sentence]]
"""The test sentences of each genre."""

_NAME_PART = re.compile(r"[A-Za-z0-9_.-]+")
_ABSENT = Scores(0, 0, 0)


def run_metrics(
    sentences: Sequence[Sentence],
    *,
    spans: Mapping[str, Mapping[str, Spans]],
    headline: str,
    mentions: Mapping[str, Mentions],
    target_mentions: Mapping[str, Mentions],
    training_mentions: Collection[str],
    types: Sequence[str],
    problems: Mapping[str, Mapping[str, int]],
    completions: int,
    seed: int,
    reasons: Sequence[str] = (),
    resamples: int = 1000,
    placed: Mapping[str, Spans] | None = None,
) -> dict[str, float]:
    """`{metric name: number}` of one run, in a fixed order.

    `sentences`: the test split with tags, entities and model text. `spans`: policy -> sentence id
    -> what was predicted; `headline` names the policy of `test/` and `error/`, unless the method
    `placed` its entities itself. `mentions`: what the model listed, by id, in the script of
    `model_text`; `target_mentions`: what the prompt format would write for gold.
    `training_mentions`: mention strings of the training split, in the script of `text`. `types`:
    the tags of the label scheme, each with a figure in each genre. `problems`: id -> reason -> how
    often, of `completions` in all; all `reasons` are logged. `seed` draws the `resamples`.

    Raises InputError for sentences without gold, ids that do not agree, spans outside their
    sentence or overlapping, an unknown policy, and a genre, type or reason whose characters a
    metric name cannot hold.
    """
    genres = _by_genre(sentences)
    check_names([*genres, *types, *reasons, *(r for each in problems.values() for r in each)])
    _check_policies(spans, headline if placed is None else None)
    every = spans if placed is None else {**spans, "the method": placed}
    answers = {f"spans of {policy}": predicted for policy, predicted in every.items()}
    _check_ids(
        sentences, {**answers, "listed mentions": mentions, "target mentions": target_mentions}
    )
    _check_spans(sentences, every)
    predicted = spans[headline] if placed is None else placed
    return {
        **_test(genres, predicted, types),
        **_interval(genres, predicted, seed, resamples),
        **_tags_and_seen(genres, predicted, training_mentions),
        "infer/mention_f1": _macro_f1(
            genres,
            lambda members: mention_scores((gold_mentions(s), mentions[s.id]) for s in members),
        ),
        **_restoration(genres, spans, target_mentions),
        **parse_rates(sentences, problems, completions, reasons),
        **_errors(sentences, predicted),
    }


def _by_genre(sentences: Sequence[Sentence]) -> Genres:
    genres: defaultdict[str, list[Sentence]] = defaultdict(list)
    for sentence in sentences:
        if sentence.tags is None:
            raise InputError(f"sentence {sentence.id}: has no gold tags; score a split that has")
        genres[sentence.genre].append(sentence)
    if not genres:
        raise InputError("no test sentence to score; the split is empty")
    return genres


def check_names(parts: Iterable[str]) -> None:
    """InputError for a genre, type or reason whose characters a metric name cannot hold."""
    for part in parts:
        if not _NAME_PART.fullmatch(part):
            raise InputError(
                f"{part!r} cannot be part of a metric name; name genres, types and reasons with "
                "the characters A-Z a-z 0-9 _ . - alone"
            )


def _check_policies(policies: Collection[str], headline: str | None) -> None:
    if unknown := set(policies) - POLICIES.keys():
        raise InputError(f"unknown restoration {min(unknown)!r}; choose from {', '.join(POLICIES)}")
    if headline is not None and headline not in policies:
        raise InputError(f"restoration {headline!r} was not scored; have: {', '.join(policies)}")


def _check_ids(sentences: Sequence[Sentence], answers: Mapping[str, Mapping[str, object]]) -> None:
    ids = Counter(sentence.id for sentence in sentences)
    if len(ids) < len(sentences):
        raise InputError(f"sentence id {ids.most_common(1)[0][0]} occurs twice in the test split")
    for what, by_id in answers.items():
        for id_ in sorted(ids.keys() ^ by_id.keys())[:1]:
            problem = "missing" if id_ in ids else "not a sentence of the test split"
            raise InputError(f"{what}, sentence {id_}: {problem}; ids must agree on both sides")


def _check_spans(sentences: Sequence[Sentence], spans: Mapping[str, Mapping[str, Spans]]) -> None:
    for policy, predicted in spans.items():
        for sentence in sentences:
            try:
                tags_of(predicted[sentence.id], len(sentence.text))
            except ValueError as error:
                raise InputError(f"spans of {policy}, sentence {sentence.id}: {error}") from None


def _pairs(members: Iterable[Sentence], predicted: Mapping[str, Spans]) -> list[SpanPair]:
    return [(sentence.entities, predicted[sentence.id]) for sentence in members]


def _span_scores(members: Sequence[Sentence], predicted: Mapping[str, Spans]) -> Scores:
    return span_scores(_pairs(members, predicted))


def _mean(figures: Sequence[float]) -> float:
    return sum(figures) / len(figures) if figures else 0.0


def _macro_f1(genres: Genres, score: Callable[[Sequence[Sentence]], Scores]) -> float:
    return _mean([score(members).f1 for members in genres.values()])


def _test(genres: Genres, predicted: Mapping[str, Spans], types: Sequence[str]) -> dict[str, float]:
    """The official figures: flat spans written as BIO tags are the chunks `conlleval` counts."""
    by_genre = {g: scores_by_type(_pairs(members, predicted)) for g, members in genres.items()}
    metrics: dict[str, float] = {}
    for figure in ("f1", "precision", "recall"):
        values = {g: getattr(total(by_type), figure) for g, by_type in by_genre.items()}
        metrics[f"test/{figure}"] = _mean(list(values.values()))
        metrics.update({f"test/{genre}/{figure}": value for genre, value in values.items()})
    for genre, by_type in by_genre.items():
        for type_ in types:
            metrics[f"test/{genre}/{type_}/f1"] = by_type.get(type_, _ABSENT).f1
    return metrics


def _interval(
    genres: Genres, predicted: Mapping[str, Spans], seed: int, resamples: int
) -> dict[str, float]:
    from chmed_ner.score.intervals import bootstrap_f1, sentence_counts

    counts = {
        genre: sentence_counts(_pairs(members, predicted)) for genre, members in genres.items()
    }
    intervals = bootstrap_f1(counts, resamples=resamples, seed=seed)
    found = {"test": intervals.macro, **{f"test/{g}": each for g, each in intervals.genres.items()}}
    return {
        f"{name}/f1_{bound}": getattr(interval, bound)
        for name, interval in found.items()
        for bound in ("low", "high")
    }


def _tags_and_seen(
    genres: Genres, predicted: Mapping[str, Spans], training_mentions: Collection[str]
) -> dict[str, float]:
    """A genre without gold entities on a side (seen, unseen) is left out of that side's mean."""
    sides = [
        seen_scores([(s.text, s.entities, predicted[s.id]) for s in members], training_mentions)
        for members in genres.values()
    ]
    return {
        "test/tag_f1": _macro_f1(
            genres,
            lambda members: tag_scores(
                (sentence.tags or (), tags_of(predicted[sentence.id], len(sentence.text)))
                for sentence in members
            ),
        ),
        "test/seen_f1": _mean([seen.f1 for seen, _ in sides if seen.gold]),
        "test/unseen_f1": _mean([unseen.f1 for _, unseen in sides if unseen.gold]),
    }


def _restoration(
    genres: Genres,
    spans: Mapping[str, Mapping[str, Spans]],
    target_mentions: Mapping[str, Mentions],
) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for policy, predicted in spans.items():
        scores: dict[str, Callable[[Sequence[Sentence]], Scores]] = {
            "f1": partial(_span_scores, predicted=predicted),
            "ceiling_f1": partial(ceiling_scores, policy),
            "target_ceiling_f1": partial(target_ceiling_scores, policy, listed=target_mentions),
        }
        for name, score in scores.items():
            metrics[f"restore/{policy}/{name}"] = _macro_f1(genres, score)
    return metrics


def parse_rates(
    sentences: Sequence[Sentence],
    problems: Mapping[str, Mapping[str, int]],
    completions: int,
    reasons: Sequence[str] = (),
) -> dict[str, float]:
    """`parse/<reason>_rate` and `parse/problem_rate`: the share of completions, from 0 to 1, with
    at least one problem of that reason, or of any.

    Raises InputError for an id that is no sentence's, or more answers with problems than answers.
    """
    if unknown := problems.keys() - {sentence.id for sentence in sentences}:
        raise InputError(f"problems, sentence {min(unknown)}: not a sentence of the test split")
    affected = [{r for r, n in by_reason.items() if n} for by_reason in problems.values()]
    with_problem = sum(map(bool, affected))
    if with_problem > completions:
        raise InputError(f"{with_problem} sentences with problems, but {completions} completions")
    counts = Counter(reason for found in affected for reason in found)
    rates = {f"parse/{r}_rate": counts[r] for r in dict.fromkeys([*reasons, *sorted(counts)])}
    rates["parse/problem_rate"] = with_problem
    return {name: n / completions if completions else 0.0 for name, n in rates.items()}


def _errors(sentences: Iterable[Sentence], predicted: Mapping[str, Spans]) -> dict[str, float]:
    found: Counter[str] = Counter()
    for sentence in sentences:
        found.update(error_kinds(sentence.entities, predicted[sentence.id]))
    return {f"error/{kind}": float(found[kind]) for kind in KINDS if kind != "correct"}
