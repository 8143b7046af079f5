"""A model on raw text: that of a finished run, or a backbone that is asked as it is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chmed_ner.backbone import Greedy, answers, faults, plan_batches, requests_for
from chmed_ner.data import Document, annotate
from chmed_ner.entities import (
    Completion,
    Entity,
    Prediction,
    Script,
    Sentence,
    Simplified,
    Span,
    convert_leniently,
    restore,
)
from chmed_ner.errors import InputError
from chmed_ner.machine import keep_threads_awake, prepare_memory, progress
from chmed_ner.model import Answered, Generator, Reply
from chmed_ner.prompt import TaskPrompt, reopen_hints
from chmed_ner.run.confidences import Confidences, promise_of
from chmed_ner.run.config import compose, configure, plain_config
from chmed_ner.run.experiment import Experiment, SpanModel
from chmed_ner.run.place import at_home, output_of
from chmed_ner.run.recorded import check_backbone, recorded_config
from chmed_ner.score import CERTAINTY, PRECISION, RAW, RECALL, Calibration, Promise
from chmed_ner.track import RunRecord, check_address, find_run

UNREADABLE = "unreadable_character"
"""The problem counted for a lone surrogate, which the model is shown as U+FFFD."""
NOTHING = Completion("", "predict", "", "", "", "end", 0, 0, 0.0)
Found = tuple[tuple[Span, ...], Mapping[str, int]]
"""The entities of a text, and the problems met in reading it."""


class Extractor(ABC):
    """A model ready for text, in the script that it reads; a `with` block frees it at its end.

    Confidences are calibrated as the run has learnt; a `promise` leaves out what is too unsure.
    """

    script: Script
    calibration: Calibration = RAW
    promise: Promise | None = None

    def __call__(self, text: str) -> tuple[Entity, ...]:
        """The entities of a text of any length, in its order."""
        return self.extract([text])[0]

    def extract(self, texts: Sequence[str]) -> list[tuple[Entity, ...]]:
        """The entities of each text; together they are read faster than one by one."""
        found = [each.prediction for each in annotate(self, [list(map(Document, texts))])]
        return [
            tuple(
                Entity(each.text[s.start : s.end], s.type, s.start, s.end, s.confidence)
                for s in each.entities
            )
            for each in found
        ]

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, in order, ids `0`, `1` ...; offsets are code points of the texts.

        The sentences of a run's test split, given together, get that run's predictions.
        """
        converted = [convert_leniently(self.script, text) for text in texts]
        sentences = [
            Sentence(str(number), "predict", "", text, None, (), model_text)
            for number, (text, (model_text, _)) in enumerate(zip(texts, converted, strict=True))
        ]
        predictions, found = [], self._read(sentences)
        for sentence, (_, odd), (spans, problems) in zip(sentences, converted, found, strict=True):
            counted = {**problems, **({UNREADABLE: odd} if odd else {})}
            kept = (s for s in spans if self.promise is None or self.promise.keeps(s))
            sure = self.calibration.spans(kept)
            read = Prediction(sentence.id, "predict", "", sentence.text, sure, counted)
            predictions.append(read)
        return predictions

    @abstractmethod
    def close(self) -> None:
        """Free the model."""

    @abstractmethod
    def _read(self, sentences: Sequence[Sentence]) -> list[Found]:
        """What is found in each sentence."""

    def __enter__(self) -> "Extractor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Predictor(Extractor):
    """A prompted model: generator, prompt, script and restoration.

    `paid` sums up all answers so far, those from a cache left out: a budget is for all of them.
    """

    generator: Generator
    prompt: TaskPrompt
    script: Script
    decoding: Greedy
    policy: str
    paid: Completion = NOTHING

    def close(self) -> None:
        """Free the model."""
        self.generator.close()

    def _read(self, sentences: Sequence[Sentence]) -> list[Found]:
        requests = requests_for(sentences, self.prompt, self.decoding)
        replies: dict[str, Reply] = {}
        before = self.paid
        batches = plan_batches(requests, self.generator.length, self.generator.batch_size)
        with progress(len(requests), "predict", "text") as bar:
            for some in answers(self.generator, batches, (before,)):
                for each in some:
                    self.paid = _with(self.paid, each)
                    replies[each.request.id] = each.reply
                bar.update(len(some))
        return [self._understood(each.model_text, replies[each.id]) for each in sentences]

    def _understood(self, text: str, reply: Reply) -> Found:
        answer = self.prompt.parse(reply.text, text, reply.stop, reply.logprobs)
        placed = answer.spans
        if placed is None:
            nested = self.prompt.labels.nested
            placed = restore(self.policy, text, answer.mentions, nested=nested)
        return placed, {**answer.problems, **faults(reply)}


@dataclass
class FittedPredictor(Extractor):
    """A fitted model: a lexicon, a CRF ..."""

    model: SpanModel
    script: Script

    def close(self) -> None:
        """Free the model."""
        self.model.close()

    def _read(self, sentences: Sequence[Sentence]) -> list[Found]:
        found = self.model.find([sentence.model_text for sentence in sentences])
        return [(spans, {}) for spans in found]


def _with(paid: Completion, answered: Answered) -> Completion:
    """The sum that also holds an answer; one from a cache took no time and costs nothing."""
    reply = answered.reply
    if not answered.seconds:
        return paid
    return replace(
        paid,
        prompt_tokens=paid.prompt_tokens + reply.prompt_tokens,
        completion_tokens=paid.completion_tokens + reply.completion_tokens,
        seconds=paid.seconds + answered.seconds,
    )


def load(
    run: str | Path,
    *,
    precision: float | None = None,
    recall: float | None = None,
    certainty: float = CERTAINTY,
    output: Path | None = None,
    trust_endpoint: bool = False,
) -> Extractor:
    """The model of a run: a directory, or an MLflow run id or `latest` under `output`.

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
    model = _reopened(directory, record, trust_endpoint=trust_endpoint)
    model.calibration, model.promise = confidences.calibration, promise
    return model


def _reopened(directory: Path, record: RunRecord, *, trust_endpoint: bool) -> Extractor:
    home = output_of(directory, record, record.output)
    experiment = configure(at_home(recorded_config(directory, record), home), {})
    if "backbone" in experiment.parts:
        check_address(directory, experiment.backbone.address, trust=trust_endpoint)
    if record.backbone_sha256:
        check_backbone(experiment.backbone, record, directory)
    model = experiment.method.reopen(directory, experiment.parts.get("backbone"))
    if model is not None:
        return FittedPredictor(model, experiment.script)
    return _prompted(experiment, directory, record.seed)


def extractor(
    *overrides: str, labels: str | Sequence[str] | None = None, **options: str
) -> Extractor:
    """A backbone that is asked as it is, without a run: `extractor(backbone="qwen3_0_6b",
    labels=["疾病", "症状"])`.

    `labels`: a scheme of conf/labels, or the categories themselves, which are then the types.
    `options` name those of other groups (`prompt="json"`), `overrides` are settings as on the
    command line (`"backbone.path=/models/mine"`). InputError: a wrong setting, or one that needs
    something learnt.
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
