"""One experiment from corpus to MLflow: the method section of the paper, as a program."""

import logging
import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

from chmed_ner.data import Corpus, log_changes, predictions_of, write_predictions
from chmed_ner.entities import Traditional, in_script
from chmed_ner.files import write_json
from chmed_ner.machine import keep_threads_awake, peak_mib, prepare_memory, reset_peak
from chmed_ner.run.confidences import Confidences, learn_confidences
from chmed_ner.run.experiment import Experiment
from chmed_ner.run.outcome import Entities, Outcome
from chmed_ner.run.recording import open_record, tracked
from chmed_ner.score import PRECISION, Answers, check_names, promise, run_metrics
from chmed_ner.track import Tracker

PROMISED = 0.9
"""The precision whose promise every run is held to, on the test split, for the record."""

log = logging.getLogger(__name__)


def run(experiment: Experiment, directory: Path) -> dict[str, float]:
    """Run one experiment in `directory`; returns its metrics by name (none for `limit.test=0`, no
    scores for test files without gold)."""
    prepare_memory()
    keep_threads_awake()
    reset_peak()
    random.seed(experiment.seed)
    corpus = read_corpus(experiment)
    check_names([*corpus.genres, *corpus.labels.tags])
    experiment.check(corpus)
    record = open_record(experiment, corpus, directory)
    with tracked(experiment, record, directory) as tracker:
        outcome = experiment.method.run(experiment, corpus, directory, tracker)
        record.counts |= {**corpus.counts, **outcome.counts}
        measured = {**costs(outcome, tracker), **outcome.metrics}
        return conclude(experiment, corpus, outcome, directory, tracker, measured)


def read_corpus(experiment: Experiment) -> Corpus:
    """The corpus with the text that the model reads; what was changed in it is logged."""
    corpus = experiment.load()
    log_changes(corpus.name, corpus.counts)
    script = experiment.parts.get("script", Traditional())
    splits = (corpus.train, corpus.validation, corpus.test)
    train, validation, test = (in_script(script, split) for split in splits)
    return replace(corpus, train=train, validation=validation, test=test)


def conclude(
    experiment: Experiment,
    corpus: Corpus,
    outcome: Outcome,
    directory: Path,
    tracker: Tracker,
    measured: Mapping[str, float],
) -> dict[str, float]:
    """Write what was predicted, score it, track it, explain it; returns all metrics by name.

    `measured` are the metrics that do not come from predictions.
    """
    policy = experiment.policy
    confidences = learn_confidences(outcome, policy, gold=corpus.gold)
    confidences.write(directory)
    test, validation = (
        {id_: confidences.calibration.spans(spans) for id_, spans in each.predicted(policy).items()}
        for each in (outcome.test, outcome.validation)
    )
    found = [
        predictions_of(outcome.test.sentences, test, outcome.test.problems),
        predictions_of(outcome.validation.sentences, validation, outcome.validation.problems),
    ]
    write_predictions(directory, chain(*found), nested=corpus.labels.nested)
    gold = corpus.test and corpus.gold
    scored = score(experiment, corpus, outcome, confidences) if gold else {}
    metrics = {**scored, **measured} if corpus.test else {}
    write_json(directory / "metrics.json", metrics)
    tracker.log(metrics, 0)
    if corpus.gold:
        explain(experiment, corpus, outcome, test, metrics, directory)
    return metrics


def score(
    experiment: Experiment, corpus: Corpus, outcome: Outcome, confidences: Confidences
) -> dict[str, float]:
    """Every metric that comes from predictions."""
    found = outcome.test
    return run_metrics(
        Answers(
            sentences=corpus.test,
            spans=found.spans,
            headline=experiment.policy,
            placed=found.placed,
            mentions=found.mentions,
            targets=found.targets,
            training_mentions=training_mentions(corpus),
            types=corpus.labels.tags,
            problems=found.problems,
            completions=len(found.sentences) if outcome.completions else 0,
            reasons=outcome.reasons,
            seed=experiment.seed,
            nested=corpus.labels.nested,
            calibration=confidences.calibration,
            promise=promise(confidences.validation, PRECISION, PROMISED),
        )
    )


def training_mentions(corpus: Corpus) -> set[str]:
    """The gold mentions of the training split."""
    return {s.mention(span) for s in corpus.train for span in s.entities}


def costs(outcome: Outcome, tracker: Tracker) -> dict[str, float]:
    """Seconds, tokens, money and memory, with what was spent before an interruption."""
    completions, seconds = outcome.completions, outcome.seconds
    return {
        **{f"time/{stage}_seconds": spent for stage, spent in tracker.seconds.items()},
        "time/generate_seconds": seconds,
        "time/sentences_per_second": len(outcome.test.sentences) / seconds if seconds else 0.0,
        "tokens/prompt": sum(completion.prompt_tokens for completion in completions),
        "tokens/completion": sum(completion.completion_tokens for completion in completions),
        "cost/usd": outcome.usd,
        "memory/peak_mib": peak_mib(),
    }


def explain(
    experiment: Experiment,
    corpus: Corpus,
    outcome: Outcome,
    spans: Entities,
    metrics: dict[str, float],
    directory: Path,
) -> None:
    """Write `report.html`, the test sentences with their entities `spans`, and `analysis/`."""
    from chmed_ner.report import speaking, write_analysis, write_page

    known = training_mentions(corpus)
    with speaking(experiment.language):
        write_page(
            directory / "report.html",
            title=experiment.name,
            sentences=corpus.test,
            spans=spans,
            completions=outcome.completions,
            metrics=metrics,
            labels=corpus.labels,
            training_mentions=known or None,
        )
        write_analysis(
            directory,
            sentences=corpus.test,
            spans=spans,
            training_mentions=known,
            labels=corpus.labels,
            formats=experiment.figures,
        )
