"""The record of a run, kept however it ends (`run.json`, MLflow)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chmed_ner.data import Corpus, Limit, altered_files
from chmed_ner.errors import Stopped
from chmed_ner.run.experiment import Experiment
from chmed_ner.track import (
    RUN_FILE,
    RunRecord,
    Tracker,
    check_same_run,
    description,
    failure_reason,
    git_commit,
    versions,
)

ARTIFACTS = (
    ".hydra", "completions.jsonl", "predictions.jsonl", "submission", "metrics.json", "run.json",
    "report.html", "analysis", "assessment", "calibration.json", "confidences.jsonl",
)  # fmt: skip
"""What is uploaded to MLflow."""


def open_record(experiment: Experiment, corpus: Corpus, directory: Path) -> RunRecord:
    """A new record, or that of the resumed run, which must have the same identity."""
    identity, backbone = experiment.identity(corpus), experiment.backbone_checksum
    if experiment.resume and (directory / RUN_FILE).is_file():
        record = RunRecord.read(directory)
        check_same_run(directory, record, experiment.config, identity)
        if record.versions:  # else it was refused before it began
            return record
    return new_record(
        experiment,
        identity,
        backbone=experiment.backbone.name if backbone else "none",
        backbone_sha256=backbone,
        training_files=experiment.tuned_on(corpus),
        test_files=dict(corpus.test_files),
        sentences=sentences(corpus),
        git_commit=git_commit(),
        versions=versions(),
    )


def sentences(corpus: Corpus) -> dict[str, int]:
    """How many sentences each split has."""
    splits = {"train": corpus.train, "validation": corpus.validation, "test": corpus.test}
    return {name: len(split) for name, split in splits.items()}


def new_record(experiment: Experiment, identity: str, **known: Any) -> RunRecord:
    """A record that begins now, `known` being more of its fields."""
    return RunRecord(
        name=experiment.name,
        experiment=experiment.experiment,
        config_hash=identity,
        config=experiment.config,
        seed=experiment.seed,
        choices=dict(experiment.choices),
        command=experiment.command,
        sweep=dict(experiment.sweep),
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
    record.status, record.error, record.directory = "RUNNING", "", str(directory.absolute())
    directory.mkdir(parents=True, exist_ok=True)
    record.write(directory)  # its key, before MLflow is asked: a crash in between loses nothing
    try:
        described = description(record, {**tags(experiment, record), **more_tags})
        tracker = experiment.tracking.start(described, directory, record.mlflow_run_id)
        record.mlflow_run_id, record.mlflow_tracking_uri = tracker.run_id, tracker.uri
        record.write(directory)
        yield tracker
        status = "FINISHED"
    except (KeyboardInterrupt, Stopped):
        status = "KILLED"
        raise
    except BaseException as error:
        record.error = failure_reason(error)
        raise
    finally:
        record.status = status
        record.seconds = round(record.seconds + time.perf_counter() - began, 1)
        _close(experiment, record, directory, tracker)


def _close(experiment: Experiment, record: RunRecord, directory: Path, tracker: Tracker) -> None:
    """Write the record, upload the files, end the run; as FAILED if that fails."""
    status = "FAILED"
    try:
        noted = RunRecord.read(directory)  # on the way
        record.counts, record.weights = {**noted.counts, **record.counts}, noted.weights
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
        "gazetteer", "preset", "sweep",
    )  # fmt: skip
    return {
        **{group: experiment.choices.get(group, "none") for group in groups},
        "seed": str(experiment.seed),
        "git_commit": record.git_commit,
        "config_hash": record.config_hash,
        "partial": str(experiment.limit != Limit()).lower(),
        "altered": str(bool(altered_files({**record.training_files, **record.test_files}))).lower(),
    }
