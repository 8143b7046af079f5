"""Methods that fit a model of their own to the training split."""

import logging
import math
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from chmed_ner.backbone import Backbone
from chmed_ner.data import Corpus, Gazetteer, WordList
from chmed_ner.entities import Script, Sentence, Span, outermost
from chmed_ner.errors import InputError
from chmed_ner.files import read_json, sha256_of, write_json
from chmed_ner.knobs import Range
from chmed_ner.run import Experiment, Method, Outcome, SpanModel, placed_outcome
from chmed_ner.score import span_scores
from chmed_ner.track import Tracker

T = TypeVar("T")

log = logging.getLogger(__name__)


class Fitted(Method):
    """Fit -> save -> open what was saved -> place entities in the test and validation split.

    `<run>/model` holds `weights_file`, if the method has one, and `description_file`, JSON, written
    last: then the model is complete, and a resumed run does not fit it again.
    """

    needs: ClassVar[Collection[str]] = ("script",)
    trains = True
    description_file: ClassVar[str]
    weights_file: ClassVar[str | None] = None
    nests: ClassVar[bool] = False
    """Whether entities inside others of another type are learnt; else the outermost alone are."""

    @property
    def choices(self) -> int:
        """How many settings the validation split chooses among; 1: none to choose."""
        return 1

    @abstractmethod
    def fit(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: Tracker
    ) -> None:
        """Learn from `corpus.train`, choose on `corpus.validation`, save in `directory`."""

    @abstractmethod
    def reopen(self, directory: Path, backbone: Backbone | None) -> SpanModel:
        """The saved model; InputError where it is absent or has changed."""

    def weights_path(self, directory: Path) -> Path:
        """The file of the weights."""
        assert self.weights_file, "the method has no weights"
        return directory / "model" / self.weights_file

    def write_description(self, directory: Path, content: Mapping[str, Any]) -> None:
        """Write the description, with the checksum of the weights: the model is complete."""
        checksum = {"sha256": sha256_of(self.weights_path(directory))} if self.weights_file else {}
        write_json(self._description_path(directory), {**content, **checksum})

    def read_description(self, directory: Path, parse: Callable[[Any], T]) -> T:
        """What `parse` makes of the description; InputError: a file absent, broken or changed."""
        path = self._description_path(directory)
        content = read_json(path)
        try:
            found, checksum = parse(content), content["sha256"] if self.weights_file else None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path}: not a model of method={self.name} ({error!r}); run the method again"
            ) from None
        if self.weights_file:
            weights = self.weights_path(directory)
            if not weights.is_file() or sha256_of(weights) != checksum:
                raise InputError(
                    f"{weights}: absent, or another file than the one that was fitted; bring it "
                    "back, or run the method again"
                )
        return found

    def _description_path(self, directory: Path) -> Path:
        return directory / "model" / self.description_file

    def check(self, experiment: Experiment, corpus: Corpus) -> None:
        """InputError where a choice has no validation sentences to go by."""
        if self.choices > 1 and not corpus.validation:
            raise InputError(
                f"method={self.name}: chooses among {self.choices} settings on validation "
                "sentences, but there are none; set limit.validation or dataset.validation_share "
                "above 0, or give a single setting"
            )

    def run(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: Tracker
    ) -> Outcome:
        """The entities of the test and the validation split."""
        if self._description_path(directory).is_file():
            log.info("the model is there already: it is not fitted again")
        else:
            with tracker.timed("prepare"):
                self.fit(experiment, self._learnt(corpus), directory, tracker)
        model = self.reopen(directory, experiment.parts.get("backbone"))
        try:
            placed, seconds = placed_by(model, corpus.test)
            placed |= placed_by(model, corpus.validation)[0]
        finally:
            model.close()
        sentences = [*corpus.test, *corpus.validation]
        return placed_outcome(sentences, placed, nested=corpus.labels.nested, seconds=seconds)

    def _learnt(self, corpus: Corpus) -> Corpus:
        """The corpus with the entities of the training split that the method can learn."""
        if not corpus.labels.nested:
            return corpus
        train = tuple(
            replace(each, entities=outermost(each.entities, of_its_type=self.nests))
            for each in corpus.train
        )
        left = sum(len(each.entities) for each in train)
        every = sum(len(each.entities) for each in corpus.train)
        if left < every:
            log.warning(
                "method=%s learns no entities inside others%s: %d of %d training entities are left "
                "out; method=%s",
                self.name, " of their type" if self.nests else "", every - left, every,
                "generative learns all" if self.nests else "tagger and generative learn them",
            )  # fmt: skip
        return replace(corpus, train=train)


def lists_of(
    experiment: Experiment, corpus: Corpus, script: Script | None = None
) -> dict[str, WordList]:
    """The run's word lists, in `script` or the run's, as they would be without validation and test
    sentences, if they were taken from them; InputError where one cannot be read."""
    gazetteer: Gazetteer | None = experiment.parts.get("gazetteer")
    if gazetteer is None:
        return {}
    lists = gazetteer.read(experiment.data, corpus.labels, script or experiment.script)
    return {n: each.without((*corpus.validation, *corpus.test)) for n, each in lists.items()}


def placed_by(
    model: SpanModel, sentences: Sequence[Sentence]
) -> tuple[dict[str, tuple[Span, ...]], float]:
    """The entities that `model` finds, by sentence id, and the seconds it took."""
    began = time.perf_counter()
    found = model.find([sentence.model_text for sentence in sentences])
    seconds = time.perf_counter() - began
    return {s.id: spans for s, spans in zip(sentences, found, strict=True)}, seconds


def validation_f1(model: SpanModel, sentences: Sequence[Sentence]) -> float:
    """Micro F1 (percent) of the model on the validation split, 0 where that is empty."""
    placed, _ = placed_by(model, sentences)
    return placed_f1(sentences, placed)


def placed_f1(sentences: Iterable[Sentence], placed: Mapping[str, Sequence[Span]]) -> float:
    """Micro F1 (percent) of the entities `placed` by sentence id."""
    return span_scores((each.entities, placed[each.id]) for each in sentences).f1


def numbers(least: float, most: float = math.inf, *, whole: bool = False) -> Range:
    """A list of distinct numbers from `least` to `most`."""
    types = (int,) if whole else (int, float)

    def holds(values: Any) -> bool:
        listed = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
        return (
            listed
            and all(type(each) in types and least <= each <= most for each in values)
            and len(set(values)) == len(values)
        )

    kind = "whole numbers" if whole else "numbers"
    end = f"to {most:g}" if most < math.inf else "upwards"
    return Range(f"a list of {kind} from {least:g} {end}, each once", holds)
