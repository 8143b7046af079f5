"""The metrics of one run: every name of DESIGN section 5 that comes from predictions.

F1, precision and recall are in percent; a figure without a genre in its name is the mean over the
genres of the test split. `parse/..._rate` is a share from 0 to 1, so are `confidence/brier`,
`known` and `calibrated`; a calibration error is in points; `error/...` counts entities.
A metric is a line of a function below; `MEASURES` lists the functions.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial

from chmed_ner.entities import (
    Scores,
    ceiling,
    gold_mentions,
    tags_of,
)
from chmed_ner.errors import InputError
from chmed_ner.score.answers import Answers, mean
from chmed_ner.score.breakdowns import (
    ERROR_KINDS,
    SEEN,
    UNSEEN,
    ScoredSentence,
    by_seen,
    error_kinds,
)
from chmed_ner.score.confidence import (
    Judged,
    average_precision,
    brier_score,
    calibration_error,
    entities_of,
    judge,
)
from chmed_ner.score.promises import kept_of
from chmed_ner.score.spans import (
    mention_scores,
    nesting_scores,
    scores_by_type,
    span_scores,
    tag_scores,
    target_ceiling_scores,
    total,
)

Metrics = dict[str, float]


def run_metrics(answers: Answers) -> Metrics:
    """`{metric name: number}` of one run, in a fixed order."""
    return {name: value for measure in MEASURES for name, value in measure(answers).items()}


def _test(answers: Answers) -> Metrics:
    """Figures of exact spans: flat ones, written as BIO tags, are the chunks of `conlleval`."""
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


def _confidences(answers: Answers) -> Metrics:
    """Of the entities that have a confidence; a genre without any is left out of the mean."""
    predicted, calibration = answers.predicted, answers.calibration
    genres = {genre: judge(some, predicted) for genre, some in answers.genres.items()}
    judged = {genre: entities_of(some) for genre, some in genres.items()}
    if not any(judged.values()):
        return {}
    metrics: Metrics = {}
    figures: dict[str, dict[str, float]] = {}
    for genre, entities in judged.items():
        if not entities:
            continue
        gold = sum(each.gold for each in genres[genre])
        sides = {"": calibration.judged(entities), "raw_": entities}
        for prefix, side in sides.items():
            for name, value in _worth(side, gold).items():
                figures.setdefault(prefix + name, {})[genre] = value
        if answers.promise is not None:
            kept = kept_of(genres[genre], answers.promise.threshold)
            figures.setdefault("promised_precision", {})[genre] = 100 * kept.precision
            figures.setdefault("promised_recall", {})[genre] = 100 * kept.recall
    for name, values in figures.items():
        metrics[f"confidence/{name}"] = mean(list(values.values()))
        metrics.update({f"confidence/{genre}/{name}": value for genre, value in values.items()})
    every = sum(len(set(spans)) for spans in predicted.values())
    metrics["confidence/known"] = sum(map(len, judged.values())) / every
    metrics["confidence/calibrated"] = float(calibration.every is not None)
    for kind, prefix in (("held_out", ""), ("raw", "raw_")):
        if kind in calibration.errors:
            name = f"confidence/validation_{prefix}calibration_error"
            metrics[name] = calibration.errors[kind]
    return metrics


def _worth(entities: list[Judged], gold: int) -> Metrics:
    return {
        "calibration_error": calibration_error(entities),
        "brier": brier_score(entities),
        "average_precision": average_precision(entities, gold),
    }


MEASURES: tuple[Callable[[Answers], Metrics], ...] = (
    _test, _intervals, _tags_and_seen, _nesting, _restoration, _parse_rates, _errors, _confidences,
)  # fmt: skip
"""Every function that measures something, in the order of the metrics."""
