"""The record of a run, kept to its end however it ends: `run.json`, and the run in MLflow."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chmed_ner.data.corpus import Corpus, Limit
from chmed_ner.errors import Stopped
from chmed_ner.run.experiment import Experiment
from chmed_ner.track import Description, Tracker
from chmed_ner.track.record import FILE, RunRecord, check_same, git_commit, reason, versions

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


def open_record(experiment: Experiment, corpus: Corpus, directory: Path) -> RunRecord:
    """A new `run.json`, or that of the run that is resumed, which must have the same identity."""
    identity, backbone = experiment.identity(corpus), experiment.backbone_checksum
    if experiment.resume and (directory / FILE).is_file():
        record = RunRecord.read(directory)
        check_same(directory, record, experiment.config, identity)
        if record.versions:  # else it was refused before it began
            return record
    return new_record(
        experiment,
        identity,
        backbone=experiment.backbone.name if backbone else "none",
        backbone_sha256=backbone,
        training_files=experiment.tuned_on(corpus),
        test_files=dict(corpus.test_files),
        git_commit=git_commit(),
        versions=versions(),
    )


def new_record(experiment: Experiment, identity: str, **known: Any) -> RunRecord:
    """A record that begins now, with what is `known` of the run."""
    return RunRecord(
        name=experiment.name,
        experiment=experiment.experiment,
        config_hash=identity,
        config=experiment.config,
        seed=experiment.seed,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        **known,
    )


@contextmanager
def tracked(
    experiment: Experiment, record: RunRecord, directory: Path, **more_tags: str
) -> Iterator[Tracker]:
    """The run's tracker; the run is marked FINISHED, FAILED or KILLED however the block ends."""
    began = time.perf_counter()
    status, tracker = "FAILED", Tracker(directory)
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
        tracker.artifacts(ARTIFACTS)
        if experiment.tracking.upload_adapter:
            tracker.artifacts(["adapter", "model"])
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
