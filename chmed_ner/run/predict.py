"""A finished run's model on raw text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chmed_ner.backbone.completions import answers, plan_batches, requests_for
from chmed_ner.backbone.decoding import Greedy
from chmed_ner.backbone.protocol import Backbone
from chmed_ner.entities.restoration import restore
from chmed_ner.entities.script import Script, convert_leniently
from chmed_ner.entities.types import Completion, Prediction, Sentence
from chmed_ner.errors import InputError
from chmed_ner.machine import keep_threads_awake, prepare_memory, progress
from chmed_ner.model.asking import Answered, Generator, Reply, Request
from chmed_ner.prompt import TaskPrompt
from chmed_ner.prompt.lexicon_hints import reopened
from chmed_ner.run.config import configure
from chmed_ner.run.experiment import SpanModel
from chmed_ner.track.record import RunRecord, find_run

UNREADABLE = "unreadable_character"
"""The problem counted for a lone surrogate, which the model is shown as U+FFFD."""
NOTHING = Completion("", "predict", "", "", "", "end", 0, 0, 0.0)


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
        converted = [convert_leniently(self.script, text) for text in texts]
        sentences = [
            Sentence(str(number), "predict", "", text, None, (), model_text)
            for number, (text, (model_text, _)) in enumerate(zip(texts, converted, strict=True))
        ]
        requests = requests_for(sentences, self.prompt, self.decoding)
        replies = self._replies(requests)
        return [
            self._prediction(str(number), text, model_text, odd, replies[str(number)])
            for number, (text, (model_text, odd)) in enumerate(zip(texts, converted, strict=True))
        ]

    def close(self) -> None:
        """Free the model."""
        self.generator.close()

    def _replies(self, requests: Sequence[Request]) -> dict[str, Reply]:
        replies: dict[str, Reply] = {}
        before = self.paid
        batches = plan_batches(requests, self.generator.length, self.generator.batch_size)
        with progress(len(requests), "predict", "text") as bar:
            for some in answers(self.generator, batches, (before,)):
                self.paid = _with(self.paid, some)
                replies |= {each.request.id: each.reply for each in some}
                bar.update(len(some))
        return replies

    def _prediction(
        self, id_: str, text: str, model_text: str, odd: int, reply: Reply
    ) -> Prediction:
        answer = self.prompt.parse(reply.text, model_text, reply.stop)
        spans = answer.spans
        if spans is None:
            spans = restore(self.policy, model_text, answer.mentions)
        problems = {**answer.problems, **({UNREADABLE: odd} if odd else {})}
        return Prediction(id_, "predict", "", text, spans, problems)


@dataclass
class FittedPredictor:
    """A fitted model (a lexicon, a CRF ...) and the script it reads, ready for text."""

    model: SpanModel
    script: Script

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, as `Predictor.predict`."""
        converted = [convert_leniently(self.script, text) for text in texts]
        found = self.model.find([model_text for model_text, _ in converted])
        return [
            Prediction(str(number), "predict", "", text, spans, {UNREADABLE: odd} if odd else {})
            for number, (text, (_, odd), spans) in enumerate(
                zip(texts, converted, found, strict=True)
            )
        ]

    def close(self) -> None:
        """Free the model."""
        self.model.close()


def _with(paid: Completion, answered: Sequence[Answered]) -> Completion:
    """The sum that also holds the answers just given."""
    new = [each for each in answered if each.seconds]
    return replace(
        paid,
        prompt_tokens=paid.prompt_tokens + sum(each.reply.prompt_tokens for each in new),
        completion_tokens=paid.completion_tokens
        + sum(each.reply.completion_tokens for each in new),
        seconds=paid.seconds + sum(each.seconds for each in new),
    )


def load(run: str | Path, *, output: Path | None = None) -> Predictor | FittedPredictor:
    """The predictor of a run: a directory, or an MLflow run id or `latest` under `output`.

    InputError: no such run, another backbone than its own, or no model left behind.
    """
    prepare_memory()
    keep_threads_awake()
    directory = find_run(str(run), output=output)
    record = RunRecord.read(directory)
    experiment = configure(record.config, {})
    backbone = experiment.parts.get("backbone")
    if record.backbone_sha256:
        _check_backbone(experiment.backbone, record, directory)
    model = experiment.method.reopen(directory, backbone)
    if model is not None:
        return FittedPredictor(model, experiment.script)
    prompt = experiment.prompt.task(experiment.dataset.scheme, experiment.script.name)
    prompt = reopened(prompt, directory)
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
