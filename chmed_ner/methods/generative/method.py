"""The paper's method: ask a language model for the entities, read its answer, restore the spans."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from chmed_ner.backbone import CompletionStore, requests_for, stored_completions
from chmed_ner.data import Corpus
from chmed_ner.entities import Completion, cut
from chmed_ner.errors import InputError
from chmed_ner.methods.generative.answers import ask, outcome_of, prompt_for
from chmed_ner.methods.generative.training import judged_task
from chmed_ner.run import (
    OPTIONAL,
    Experiment,
    Method,
    Outcome,
    at_home,
    changed_choices,
    changed_config,
    check_tracking,
    check_unchanged,
    command,
    conclude,
    configure,
    new_record,
    output_of,
    own_output,
    read_corpus,
    recorded_config,
    tracked,
)
from chmed_ner.track import RunRecord, Tracker, config_hash


class Generative(Method):
    """Prompt -> regime -> generate -> parse -> restore."""

    name = "generative"
    needs = OPTIONAL
    named_by: ClassVar[tuple[str, ...]] = ("backbone", "prompt", "regime")

    def check(self, experiment: Experiment, corpus: Corpus) -> None:
        """InputError when decoding or regime do not suit the prompt, or decoding the backbone."""
        experiment.regime.check(experiment.backbone, corpus.test_files)
        prompt = experiment.prompt.task(corpus.labels, experiment.script.name)
        experiment.decoding.check(prompt, experiment.backbone)
        experiment.regime.check_prompt(prompt)

    def tuned_on(self, experiment: Experiment, training_files: Mapping[str, str]) -> dict[str, str]:
        """The files of the regime."""
        return experiment.regime.tuned_on(training_files)

    def inputs(self, experiment: Experiment) -> dict[str, str]:
        """What goes into the run with the regime."""
        return experiment.regime.inputs()

    def run(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: Tracker
    ) -> Outcome:
        """Completions for the test split (and validation, where it is kept), read and restored."""
        counts: dict[str, int] = {}
        prompt = prompt_for(experiment, corpus, directory, counts)
        store = CompletionStore(directory / "completions.jsonl")
        validation = corpus.validation if experiment.keeps_validation else ()
        splits = [cut(split) for split in (corpus.test, validation) if split]
        asked = [(requests_for(split, prompt, experiment.decoding), store) for split in splits]
        task = partial(judged_task, experiment, corpus, prompt, directory, tracker, counts)
        found = ask(experiment, asked, task, tracker)
        completions = {id_: each for split in found for id_, each in split.items()}
        outcome = outcome_of(corpus.test, validation, prompt, completions)
        return replace(outcome, counts=counts, usd=experiment.backbone.usd(store))


def rescore(
    run: Path,
    overrides: Sequence[str],
    output: Path | None = None,
    *,
    trust_endpoint: bool = False,
) -> tuple[Path, dict[str, float]]:
    """Score the run in directory `run` again; returns the new directory and its metrics.

    It is tracked where the run lies now; in `output` where it was copied out of every output
    directory. Only parsing, restoration and tracking may change. InputError: anything else has
    changed, or the record names an MLflow store that is not the user's, and is not trusted.
    """
    record = RunRecord.read(run)
    home = output_of(run, record, output)
    config = changed_config(at_home(recorded_config(run, record), home), overrides)
    experiment = configure(config, changed_choices(record, overrides))
    own = own_output(run, output)
    check_tracking(run, config, overrides, own=own, trust=trust_endpoint)
    corpus = read_corpus(experiment)
    check_unchanged(run, record, corpus)
    if not corpus.test or not corpus.gold:
        raise InputError(f"{run}: the run has no test sentence with gold; rescore one that has")
    prompt = prompt_for(experiment, corpus, run)
    store = CompletionStore(run / "completions.jsonl")
    validation = corpus.validation if experiment.keeps_validation else ()
    completions: dict[str, Completion] = {}
    for split in (corpus.test, validation):
        requests = requests_for(cut(split), prompt, experiment.decoding)
        completions |= stored_completions(requests, store)
    outcome = outcome_of(corpus.test, validation, prompt, completions)
    files = {**record.training_files, **record.test_files}
    identity = config_hash(config, files, record.backbone_sha256)
    directory = run / "rescore" / identity[:8]
    new = new_record(
        replace(
            experiment,
            name=f"{record.name}-rescore-{identity[:8]}",
            command=command("rescore", run.name, *overrides),
        ),
        identity,
        backbone=record.backbone,
        backbone_sha256=record.backbone_sha256,
        training_files=record.training_files,
        test_files=record.test_files,
        sentences=record.sentences,
        git_commit=record.git_commit,
        versions=record.versions,
    )
    rescore_of = record.mlflow_run_id or run.name
    with tracked(experiment, new, directory, rescore_of=rescore_of) as tracker:
        return directory, conclude(experiment, corpus, outcome, directory, tracker, {})
