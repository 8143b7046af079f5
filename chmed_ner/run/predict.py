"""The model of a finished run, or a backbone that is asked as it is, ready for raw text."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chmed_ner.entities import Simplified, Traditional
from chmed_ner.errors import InputError
from chmed_ner.machine import keep_threads_awake, prepare_memory
from chmed_ner.prompt import reopen_hints
from chmed_ner.run.composing import compose
from chmed_ner.run.confidences import Confidences, promise_of
from chmed_ner.run.config import configure, plain_config
from chmed_ner.run.experiment import Experiment
from chmed_ner.run.extractors import Extractor, FittedPredictor, Predictor
from chmed_ner.run.place import at_home, output_of
from chmed_ner.run.recorded import check_backbone, recorded_config
from chmed_ner.score import CERTAINTY, PRECISION, RECALL
from chmed_ner.track import RunRecord, check_address, find_run


def load(
    run: str | Path,
    *,
    precision: float | None = None,
    recall: float | None = None,
    certainty: float = CERTAINTY,
    output: Path | None = None,
    trust_endpoint: bool = False,
    keep_answers: bool = False,
) -> Extractor:
    """The model of a run: a directory, or an MLflow run id or `latest` under `output`.

    An endpoint's answers, and the text asked about, go to no cache unless `keep_answers`.

    `precision` or `recall` (0 to 1) leaves out entities that are not sure enough, such that this
    share of what is kept is right, or of gold is kept, with `certainty`, in sentences drawn like
    the run's validation. InputError: validation cannot show it; no such run, another backbone than
    its own, no model left behind, or the record names an endpoint and is not trusted.
    """
    prepare_memory()
    keep_threads_awake()
    directory = find_run(str(run), output=output)
    record = RunRecord.read(directory)
    confidences = Confidences.read(directory)
    promise = promise_of(directory, confidences, {PRECISION: precision, RECALL: recall}, certainty)
    experiment = _recorded(directory, record, keep_answers=keep_answers)
    model = _reopened(experiment, directory, record, trust_endpoint=trust_endpoint)
    model.calibration, model.promise = confidences.calibration, promise
    return model


def _recorded(directory: Path, record: RunRecord, *, keep_answers: bool) -> Experiment:
    home = output_of(directory, record, record.output)
    experiment = configure(at_home(recorded_config(directory, record), home), {})
    return experiment if keep_answers else _forgetful(experiment)


def _forgetful(experiment: Experiment) -> Experiment:
    """The experiment, whose backbone writes nothing that it is asked to disk."""
    if "backbone" not in experiment.parts:
        return experiment
    return replace(
        experiment,
        parts={**experiment.parts, "backbone": experiment.backbone.forgetful()},
    )


def _reopened(
    experiment: Experiment, directory: Path, record: RunRecord, *, trust_endpoint: bool
) -> Extractor:
    if "backbone" in experiment.parts:
        check_address(directory, experiment.backbone.address, trust=trust_endpoint)
    if record.backbone_sha256:
        check_backbone(experiment.backbone, record, directory)
    model = experiment.method.reopen(directory, experiment.parts.get("backbone"))
    if model is not None:
        return FittedPredictor(model, experiment.parts.get("script", Traditional()))
    return _prompted(experiment, directory, record.seed)


def extractor(
    *overrides: str,
    labels: str | Sequence[str] | None = None,
    keep_answers: bool = False,
    **options: str,
) -> Extractor:
    """A backbone that is asked as it is, without a run: `extractor(backbone="qwen3_0_6b",
    labels=["疾病", "症状"])`.

    `labels`: a scheme of conf/labels, or the categories themselves, which are then the types.
    `options` name those of other groups (`prompt="json"`), `overrides` are settings as on the
    command line (`"backbone.path=/models/mine"`); `keep_answers` as for `load`. InputError: a
    wrong setting, or one that needs something learnt.
    """
    prepare_memory()
    keep_threads_awake()
    words = [f"{group}={option}" for group, option in options.items()] + list(overrides)
    if isinstance(labels, str):
        words.append(f"labels@dataset.labels={labels}")
    if not any(word.startswith(("regime=", "method=", "preset=")) for word in words):
        words.append("regime=zero_shot")
    config: dict[str, Any] = plain_config(compose(words))
    if labels is not None and not isinstance(labels, str):
        simplified = Simplified().convert
        types = {name: {"traditional": name, "simplified": simplified(name)} for name in labels}
        config["dataset"]["labels"] = {"name": "labels", "types": types}
    experiment = configure(config, {})
    experiment = experiment if keep_answers else _forgetful(experiment)
    if experiment.reads_training or "prompt" not in experiment.parts:
        raise InputError(
            "these settings need training data: make a run with them, and name it; without a run "
            "take regime=zero_shot, or adapter with a tuned one, method=generative, and no hints"
        )
    experiment.backbone.check()
    experiment.regime.check(experiment.backbone, {})
    return _prompted(experiment, experiment.regime.inherited("") or Path(), experiment.seed)


def _prompted(experiment: Experiment, directory: Path, seed: int) -> Predictor:
    """The backbone with what its regime finds in `directory`; InputError: they do not fit."""
    prompt = experiment.prompt.task(experiment.dataset.scheme, experiment.script.name)
    experiment.decoding.check(prompt, experiment.backbone)
    experiment.regime.check_prompt(prompt)
    prompt = reopen_hints(prompt, directory)
    regime = experiment.regime
    prompt = regime.demonstrated(prompt, experiment.backbone, directory, seed=seed)
    generator = regime.reopen(experiment.backbone, directory, prompt.stop)
    return Predictor(generator, prompt, experiment.script, experiment.decoding, experiment.policy)
