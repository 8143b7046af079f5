"""Scoring many times what was inferred once: no weights, no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chmed_ner.backbone.generate import stored_completions
from chmed_ner.backbone.store import CompletionStore
from chmed_ner.data.predictions import predictions, write_predictions
from chmed_ner.errors import InputError
from chmed_ner.files import write_json
from chmed_ner.methods.generative.method import prompt_for, read_completions, requests_for
from chmed_ner.run.config import configure, plain
from chmed_ner.run.overrides import _choices, _chosen, _merged
from chmed_ner.run.runner import analyse, read_corpus, score, tracked, write_report
from chmed_ner.track.identity import config_hash
from chmed_ner.track.record import RunRecord


def rescore(run: Path, overrides: Sequence[str]) -> tuple[Path, dict[str, float]]:
    """Score the run in directory `run` again; returns the new directory and its metrics.

    It starts from the run's configuration; only parsing, restoration and tracking may change.
    Raises InputError for another override, for files that have changed since, and for a prompt that
    no longer gives the words the completions answer.
    """
    record = RunRecord.read(run)
    config = _merged(record.config, overrides)
    choices = {**_choices(run), **_chosen(overrides)}
    experiment = configure(config, choices)
    corpus = read_corpus(experiment)
    _check_files(record, dict(corpus.test_files))
    prompt = prompt_for(experiment, corpus, run)
    store = CompletionStore(run / "completions.jsonl")
    requests = requests_for(corpus.test, prompt, experiment)
    outcome = read_completions(corpus.test, prompt, stored_completions(requests, store))
    identity = _identity(record, config)
    directory = run / "rescore" / identity[:8]
    new = RunRecord(
        name=f"{record.name}-rescore-{identity[:8]}",
        experiment=record.experiment,
        config_hash=identity,
        config=plain(config),
        backbone=record.backbone,
        backbone_sha256=record.backbone_sha256,
        training_files=record.training_files,
        test_files=record.test_files,
        seed=record.seed,
        git_commit=record.git_commit,
        versions=record.versions,
    )
    spans = outcome.predicted(experiment.policy)
    rescore_of = record.mlflow_run_id or run.name
    with tracked(experiment, new, directory, rescore_of=rescore_of) as tracker:
        metrics = score(experiment, corpus, outcome)
        write_predictions(directory, predictions(corpus.test, spans, outcome.problems))
        write_json(directory / "metrics.json", metrics)
        write_report(experiment, corpus, outcome, metrics, directory)
        tracker.log(metrics, 0)
        analyse(experiment, corpus, outcome, directory)
    return directory, metrics


def _identity(record: RunRecord, config: Any) -> str:
    files = {**record.training_files, **record.test_files}
    return config_hash(plain(config), files, record.backbone_sha256)


def _check_files(record: RunRecord, files: Mapping[str, str]) -> None:
    for name, digest in record.test_files.items():
        if files.get(name) != digest:
            raise InputError(
                f"{name}: has changed since the run (SHA-256 {str(files.get(name))[:12]}, was "
                f"{digest[:12]}); bring the old file back, or start a new run"
            )
