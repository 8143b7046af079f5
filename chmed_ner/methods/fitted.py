"""What all methods share that fit a model of their own to the training split."""

import logging
import math
import time
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.data.corpus import Corpus
from chmed_ner.entities.types import Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.run.experiment import Experiment, Method, SpanModel
from chmed_ner.run.outcome import Outcome, placed_outcome
from chmed_ner.score.spans import span_scores

if TYPE_CHECKING:
    from chmed_ner.track import Tracker


log = logging.getLogger(__name__)


class Fitted(Method):
    """Fit -> save -> open what was saved -> place entities in the test and validation split.

    The model lies in `<run>/model`. It is complete when `finished` says so; a run that is resumed
    after that does not fit it again. Predictions always come from the saved model, so a finished
    run predicts what it scored.
    """

    needs: ClassVar[Collection[str]] = ("script",)
    trains = True

    @property
    @abstractmethod
    def choices(self) -> int:
        """How many settings are tried on the validation split; 1 where nothing is chosen."""

    @abstractmethod
    def finished(self, directory: Path) -> bool:
        """Whether the run in `directory` holds a complete model."""

    @abstractmethod
    def fit(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: "Tracker"
    ) -> None:
        """Learn from `corpus.train`, choose on `corpus.validation`, save in `directory`."""

    @abstractmethod
    def reopen(self, directory: Path, backbone: Backbone | None) -> SpanModel:
        """The saved model; InputError where it is absent or has changed."""

    def check(self, experiment: Experiment, corpus: Corpus) -> None:  # noqa: ARG002
        """InputError where there is nothing to choose on (a dataset without training sentences is
        refused by the dataset itself)."""
        if self.choices > 1 and not corpus.validation:
            raise InputError(
                f"method={self.name}: chooses among {self.choices} settings on validation "
                "sentences, but there are none; set limit.validation or dataset.validation_share "
                "above 0, or give a single setting"
            )

    def tuned_on(
        self,
        experiment: Experiment,  # noqa: ARG002
        training_files: Mapping[str, str],
    ) -> dict[str, str]:
        """The dataset's training files."""
        return dict(training_files)

    def run(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: "Tracker"
    ) -> Outcome:
        """The entities of the test and the validation split."""
        if self.finished(directory):
            log.info("the model is there already: it is not fitted again")
        else:
            with tracker.timed("prepare"):
                self.fit(experiment, corpus, directory, tracker)
        model = self.reopen(directory, experiment.parts.get("backbone"))
        try:
            placed, seconds = placed_by(model, corpus.test)
            placed |= placed_by(model, corpus.validation)[0]
        finally:
            model.close()
        return placed_outcome([*corpus.test, *corpus.validation], placed, seconds=seconds)


def placed_by(
    model: SpanModel, sentences: Sequence[Sentence]
) -> tuple[dict[str, tuple[Span, ...]], float]:
    """The entities that `model` finds by sentence id, and how many seconds it took."""
    began = time.perf_counter()
    found = model.find([sentence.model_text for sentence in sentences])
    seconds = time.perf_counter() - began
    return {s.id: spans for s, spans in zip(sentences, found, strict=True)}, seconds


def validation_f1(model: SpanModel, sentences: Sequence[Sentence]) -> float:
    """Micro F1 (percent) of the model on the validation split, 0 where that is empty."""
    placed, _ = placed_by(model, sentences)
    return span_scores((sentence.entities, placed[sentence.id]) for sentence in sentences).f1


def distinct_numbers(
    key: str, values: Sequence[float], least: float, most: float = math.inf
) -> tuple[float, ...]:
    """`values` in ascending order; InputError unless they are distinct numbers in the range."""
    fine = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
    if not fine or not all(type(v) in (int, float) and least <= v <= most for v in values):
        end = f"to {most:g}" if most < math.inf else "upwards"
        raise InputError(f"{key}={values}: give a list of numbers from {least:g} {end}")
    if len(set(values)) < len(values):
        raise InputError(f"{key}={values}: a number is given twice; give each once")
    return tuple(sorted(float(value) for value in values))
