"""One experiment from corpus to MLflow: the method section of the paper, as a program."""

import logging
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from chmed_ner.data.changes import log_changes
from chmed_ner.data.corpus import Corpus, Limit
from chmed_ner.data.predictions import predictions, write_predictions
from chmed_ner.entities.script import in_script
from chmed_ner.errors import Stopped
from chmed_ner.files import write_json
from chmed_ner.machine import keep_threads_awake, peak_mib, prepare_memory, reset_peak
from chmed_ner.run.experiment import Experiment
from chmed_ner.run.outcome import Outcome
from chmed_ner.score.answers import Answers, check_names
from chmed_ner.score.metrics import run_metrics
from chmed_ner.track import Description, Tracker
from chmed_ner.track.identity import check_same, config_hash
from chmed_ner.track.provenance import git_commit, versions
from chmed_ner.track.record import FILE, RunRecord, reason

log = logging.getLogger(__name__)

ARTIFACTS = (
    ".hydra",
    "completions.jsonl",
    "predictions.jsonl",
    "submission",
    "metrics.json",
    "run.json",
    "report.html",
    "analysis",
    "assessment",
)


def run(experiment: Experiment, directory: Path) -> dict[str, float]:
    """Run one experiment in `directory`; returns its metrics by name (none for `limit.test=0`)."""
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
        spans = outcome.predicted(experiment.policy)
        kept = [s for s in (*corpus.test, *corpus.validation) if s.id in spans]
        write_predictions(directory, predictions(kept, spans, outcome.problems))
        metrics = score(experiment, corpus, outcome) if corpus.test else {}
        metrics |= {**costs(outcome, tracker), **outcome.metrics} if corpus.test else {}
        write_json(directory / "metrics.json", metrics)
        write_report(experiment, corpus, outcome, metrics, directory)
        tracker.log(metrics, 0)
        analyse(experiment, corpus, outcome, directory)
    return metrics


def read_corpus(experiment: Experiment) -> Corpus:
    """The corpus with the text that the model reads; what was changed in it is logged."""
    corpus = experiment.load()
    log_changes(corpus.name, corpus.counts)
    if "script" not in experiment.parts:
        return corpus
    convert = experiment.script
    return replace(
        corpus,
        train=in_script(convert, corpus.train),
        copies=in_script(convert, corpus.copies),
        validation=in_script(convert, corpus.validation),
        test=in_script(convert, corpus.test),
    )


def open_record(experiment: Experiment, corpus: Corpus, directory: Path) -> RunRecord:
    """A new `run.json`, or that of the run that is resumed, which must have the same identity."""
    files = experiment.inputs(corpus)
    backbone = experiment.backbone_checksum
    identity = config_hash(experiment.config, files, backbone)
    if experiment.resume and (directory / FILE).is_file():
        record = RunRecord.read(directory)
        check_same(directory, record, experiment.config, identity)
        if record.versions:  # else it was refused before it began
            return record
    return RunRecord(
        name=experiment.name,
        experiment=experiment.experiment,
        config_hash=identity,
        config=experiment.config,
        backbone=experiment.parts["backbone"].name if backbone else "none",
        backbone_sha256=backbone,
        training_files=experiment.tuned_on(corpus),
        test_files=dict(corpus.test_files),
        seed=experiment.seed,
        git_commit=git_commit(),
        versions=versions(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@contextmanager
def tracked(
    experiment: Experiment, record: RunRecord, directory: Path, **more_tags: str
) -> Iterator[Tracker]:
    """The run's tracker; the run is marked FINISHED, FAILED or KILLED however the block ends."""
    began = time.perf_counter()
    status, tracker = "FAILED", Tracker()
    record.status, record.error = "RUNNING", ""
    directory.mkdir(parents=True, exist_ok=True)
    record.write(directory)  # its key, before MLflow is asked: a crash in between loses nothing
    try:
        tracker = experiment.tracking.start(
            description(experiment, record, more_tags), directory, record.mlflow_run_id
        )
        record.mlflow_run_id, record.mlflow_tracking_uri = tracker.run_id, tracker.uri
        record.write(directory)
        yield tracker
        status = "FINISHED"
    except (KeyboardInterrupt, Stopped):
        status = "KILLED"
        raise
    except BaseException as error:
        record.error = reason(error)
        raise
    finally:
        record.status = status
        record.seconds = round(record.seconds + time.perf_counter() - began, 1)
        _close(experiment, record, directory, tracker)


def description(
    experiment: Experiment, record: RunRecord, more_tags: Mapping[str, str]
) -> Description:
    """What the run is tracked under; `resume` says nothing about a run."""
    return Description(
        experiment=record.experiment,
        name=record.name,
        key=record.key,
        tags={**tags(experiment, record), **more_tags},
        params={key: value for key, value in experiment.config.items() if key != "resume"},
    )


def _close(experiment: Experiment, record: RunRecord, directory: Path, tracker: Tracker) -> None:
    """Write the record, upload the files and end the run; as FAILED if that does not succeed."""
    status = "FAILED"
    try:
        record.counts = {**RunRecord.read(directory).counts, **record.counts}  # noted on the way
        record.write(directory)
        tracker.artifacts(directory, ARTIFACTS)
        if experiment.tracking.upload_adapter:
            tracker.artifacts(directory, ["adapter", "model"])
        status = record.status
    finally:
        tracker.end(status, record.error)


def tags(experiment: Experiment, record: RunRecord) -> dict[str, str]:
    """The run's tags: the option chosen in each group, and where the run comes from."""
    groups = (
        "backbone", "prompt", "dataset", "regime", "method", "decoding", "restoration", "script",
        "preset", "sweep",
    )  # fmt: skip
    return {
        **{group: experiment.choices.get(group, "none") for group in groups},
        "seed": str(experiment.seed),
        "git_commit": record.git_commit,
        "config_hash": record.config_hash,
        "partial": str(experiment.limit != Limit()).lower(),
    }


def score(experiment: Experiment, corpus: Corpus, outcome: Outcome) -> dict[str, float]:
    """Every metric that comes from predictions."""
    ids = {sentence.id for sentence in corpus.test}
    return run_metrics(
        Answers(
            sentences=corpus.test,
            spans={
                policy: {id_: found for id_, found in spans.items() if id_ in ids}
                for policy, spans in outcome.spans.items()
            },
            headline=experiment.policy,
            placed=outcome.placed and {id_: outcome.placed[id_] for id_ in ids},
            mentions={id_: found for id_, found in outcome.mentions.items() if id_ in ids},
            targets={id_: found for id_, found in outcome.targets.items() if id_ in ids},
            training_mentions={s.mention(span) for s in corpus.train for span in s.entities},
            types=corpus.labels.tags,
            problems={id_: found for id_, found in outcome.problems.items() if id_ in ids},
            completions=len(outcome.completions),
            reasons=outcome.reasons,
            seed=experiment.seed,
        )
    )


def costs(outcome: Outcome, tracker: Tracker) -> dict[str, float]:
    """Seconds, tokens, money and memory. Generation counts the seconds of every answer, those given
    before an interruption too."""
    completions = outcome.completions
    seconds = outcome.seconds
    return {
        **{f"time/{stage}_seconds": spent for stage, spent in tracker.seconds.items()},
        "time/generate_seconds": seconds,
        "time/sentences_per_second": outcome.answered / seconds if seconds else 0.0,
        "tokens/prompt": sum(completion.prompt_tokens for completion in completions),
        "tokens/completion": sum(completion.completion_tokens for completion in completions),
        "cost/usd": outcome.usd,
        "memory/peak_mib": peak_mib(),
    }


def write_report(
    experiment: Experiment,
    corpus: Corpus,
    outcome: Outcome,
    metrics: dict[str, float],
    directory: Path,
) -> None:
    """`report.html`: scores, and every test sentence with its gold and predicted entities."""
    from chmed_ner.report.pages.page import write_page

    write_page(
        directory / "report.html",
        title=experiment.name,
        sentences=corpus.test,
        spans=outcome.predicted(experiment.policy),
        completions=outcome.completions,
        metrics=metrics,
        labels=corpus.labels,
        training_mentions={s.mention(span) for s in corpus.train for span in s.entities} or None,
    )


def analyse(experiment: Experiment, corpus: Corpus, outcome: Outcome, directory: Path) -> None:
    """`analysis/`: error kinds, confusions and breakdowns of the test split, as tables, figures."""
    from chmed_ner.report.analysis.analysis import write_analysis

    write_analysis(
        directory,
        sentences=corpus.test,
        spans=outcome.predicted(experiment.policy),
        training_mentions={s.mention(span) for s in corpus.train for span in s.entities},
        labels=corpus.labels,
    )
