"""A finished run's model on raw text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chmed_ner.backbone import Backbone, Greedy, answers, faults, plan_batches, requests_for
from chmed_ner.entities import (
    Completion,
    Prediction,
    Script,
    Sentence,
    Span,
    convert_leniently,
    restore,
)
from chmed_ner.errors import InputError
from chmed_ner.machine import keep_threads_awake, prepare_memory, progress
from chmed_ner.model import Answered, Generator, Reply
from chmed_ner.prompt import TaskPrompt, reopen_hints
from chmed_ner.run.config import configure
from chmed_ner.run.experiment import SpanModel
from chmed_ner.run.recorded import recorded_config
from chmed_ner.track import RunRecord, check_address, find_run

UNREADABLE = "unreadable_character"
"""The problem counted for a lone surrogate, which the model is shown as U+FFFD."""
NOTHING = Completion("", "predict", "", "", "", "end", 0, 0, 0.0)
Found = tuple[tuple[Span, ...], Mapping[str, int]]
"""The entities of a text, and the problems met in reading it."""


@dataclass
class Predictor:
    """The model, prompt, script and restoration of one run, ready for text.

    `paid` sums up all answers so far, those from a cache left out: a budget is for all of them.
    """

    generator: Generator
    prompt: TaskPrompt
    script: Script
    decoding: Greedy
    policy: str
    paid: Completion = NOTHING

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, in order, ids `0`, `1` ...; offsets are code points of the texts.

        The sentences of a run's test split, given together, get that run's predictions.
        """
        return _predictions(self.script, texts, self._read)

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
        answer = self.prompt.parse(reply.text, text, reply.stop)
        placed = answer.spans
        if placed is None:
            nested = self.prompt.labels.nested
            placed = restore(self.policy, text, answer.mentions, nested=nested)
        return placed, {**answer.problems, **faults(reply)}


@dataclass
class FittedPredictor:
    """A fitted model (a lexicon, a CRF ...) and the script it reads, ready for text."""

    model: SpanModel
    script: Script

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, as `Predictor.predict`."""
        return _predictions(self.script, texts, self._read)

    def close(self) -> None:
        """Free the model."""
        self.model.close()

    def _read(self, sentences: Sequence[Sentence]) -> list[Found]:
        found = self.model.find([sentence.model_text for sentence in sentences])
        return [(spans, {}) for spans in found]


def _predictions(
    script: Script, texts: Sequence[str], read: Callable[[Sequence[Sentence]], list[Found]]
) -> list[Prediction]:
    converted = [convert_leniently(script, text) for text in texts]
    sentences = [
        Sentence(str(number), "predict", "", text, None, (), model_text)
        for number, (text, (model_text, _)) in enumerate(zip(texts, converted, strict=True))
    ]
    predictions = []
    found = zip(sentences, converted, read(sentences), strict=True)
    for sentence, (_, odd), (spans, problems) in found:
        counted = {**problems, **({UNREADABLE: odd} if odd else {})}
        predictions.append(Prediction(sentence.id, "predict", "", sentence.text, spans, counted))
    return predictions


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
    run: str | Path, *, output: Path | None = None, trust_endpoint: bool = False
) -> Predictor | FittedPredictor:
    """The predictor of a run: a directory, or an MLflow run id or `latest` under `output`.

    InputError: no such run, another backbone than its own, no model left behind, or the record
    names an endpoint and is not trusted.
    """
    prepare_memory()
    keep_threads_awake()
    directory = find_run(str(run), output=output)
    record = RunRecord.read(directory)
    experiment = configure(recorded_config(directory, record), {})
    if "backbone" in experiment.parts:
        check_address(directory, experiment.backbone.address, trust=trust_endpoint)
    if record.backbone_sha256:
        _check_backbone(experiment.backbone, record, directory)
    model = experiment.method.reopen(directory, experiment.parts.get("backbone"))
    if model is not None:
        return FittedPredictor(model, experiment.script)
    prompt = experiment.prompt.task(experiment.dataset.scheme, experiment.script.name)
    prompt = reopen_hints(prompt, directory)
    regime = experiment.regime
    prompt = regime.demonstrated(prompt, experiment.backbone, directory, seed=record.seed)
    generator = regime.reopen(experiment.backbone, directory, prompt.stop)
    return Predictor(generator, prompt, experiment.script, experiment.decoding, experiment.policy)


def _check_backbone(backbone: Backbone, record: RunRecord, directory: Path) -> None:
    """InputError when the backbone cannot be loaded, or is not the one the run was made with."""
    backbone.check()
    if backbone.checksum() != record.backbone_sha256:
        raise InputError(
            f"{directory}: the backbone {record.backbone} has changed since the run "
            f"(checksum {backbone.checksum()[:12]}, was {record.backbone_sha256[:12]}); "
            "bring the weights back that it was made with"
        )
