"""A model that is ready for raw text: prompted, or fitted."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chmed_ner.backbone import Greedy, answers, faults, plan_batches, requests_for
from chmed_ner.data import Document, annotate
from chmed_ner.entities import (
    Completion,
    Entity,
    Prediction,
    Script,
    Sentence,
    Span,
    convert_leniently,
    restore,
)
from chmed_ner.machine import progress
from chmed_ner.model import Answered, Generator, Reply
from chmed_ner.prompt import TaskPrompt
from chmed_ner.run.experiment import SpanModel
from chmed_ner.score import RAW, Calibration, Promise

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
