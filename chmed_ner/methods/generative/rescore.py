"""Scoring many times what was inferred once: no weights, no torch."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chmed_ner.backbone.generate import requests_for, stored_completions
from chmed_ner.backbone.store import CompletionStore
from chmed_ner.methods.generative.method import outcome_of, prompt_for
from chmed_ner.run.config import configure
from chmed_ner.run.recording import (
    changed_choices,
    changed_config,
    check_unchanged,
    new_record,
    tracked,
)
from chmed_ner.run.runner import conclude, read_corpus
from chmed_ner.track.identity import config_hash
from chmed_ner.track.record import RunRecord


def rescore(run: Path, overrides: Sequence[str]) -> tuple[Path, dict[str, float]]:
    """Score the run in directory `run` again; returns the new directory and its metrics.

    InputError: an override of what may not change, files that have changed, or a prompt that no
    longer gives the words the completions answer.
    """
    record = RunRecord.read(run)
    config = changed_config(record.config, overrides)
    experiment = configure(config, changed_choices(run, overrides))
    corpus = read_corpus(experiment)
    check_unchanged(run, record, corpus)
    prompt = prompt_for(experiment, corpus, run)
    store = CompletionStore(run / "completions.jsonl")
    requests = requests_for(corpus.test, prompt, experiment.decoding)
    completions = stored_completions(requests, store)
    outcome = outcome_of(corpus.test, (), prompt, completions)
    files = {**record.training_files, **record.test_files}
    identity = config_hash(config, files, record.backbone_sha256)
    directory = run / "rescore" / identity[:8]
    new = new_record(
        replace(experiment, name=f"{record.name}-rescore-{identity[:8]}"),
        identity,
        backbone=record.backbone,
        backbone_sha256=record.backbone_sha256,
        training_files=record.training_files,
        test_files=record.test_files,
        git_commit=record.git_commit,
        versions=record.versions,
    )
    rescore_of = record.mlflow_run_id or run.name
    with tracked(experiment, new, directory, rescore_of=rescore_of) as tracker:
        return directory, conclude(experiment, corpus, outcome, directory, tracker, {})
