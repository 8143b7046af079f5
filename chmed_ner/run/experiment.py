"""An experiment: every part chosen, built and light; nothing is loaded yet."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.backbone.regime import Regime
from chmed_ner.data.corpus import Corpus, Limit
from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.restoration import Headline
from chmed_ner.entities.script import Script
from chmed_ner.entities.types import Span
from chmed_ner.prompt import Prompt

if TYPE_CHECKING:
    from chmed_ner.run.outcome import Outcome
    from chmed_ner.track import Tracker, Tracking


class Dataset(Protocol):
    """A corpus by name, ready to be read."""

    @property
    def name(self) -> str:
        """Its name in tags and tables."""

    @property
    def labels(self) -> LabelScheme:
        """The entity types it is annotated with."""

    def load(self, root: Path, *, seed: int, limit: Limit, training: bool = True) -> Corpus:
        """Its splits; with `training=False` an absent training file is tolerated."""


class Method(Protocol):
    """A way from a corpus to entities.

    `uses` names the groups it needs of `config.OPTIONAL`; those it does without must be `none`.
    `named_by` are the groups whose options make the run's default name. `trains` says whether
    something is learnt or chosen on the training files, validation included.
    """

    @property
    def name(self) -> str:
        """Its name in tags and tables."""

    @property
    def uses(self) -> Collection[str]:
        """The groups it needs."""

    @property
    def named_by(self) -> tuple[str, ...]:
        """The groups that name its runs."""

    @property
    def trains(self) -> bool:
        """Whether it needs the training files."""

    def check(self, experiment: "Experiment", corpus: Corpus) -> None:
        """InputError for what can be known to be wrong before anything is computed."""

    def tuned_on(
        self, experiment: "Experiment", training_files: Mapping[str, str]
    ) -> dict[str, str]:
        """The files that its predictions come from, with their SHA-256."""

    def inputs(self, experiment: "Experiment") -> dict[str, str]:
        """The SHA-256 of what goes into the run beside corpus and backbone."""

    def run(
        self, experiment: "Experiment", corpus: Corpus, directory: Path, tracker: "Tracker"
    ) -> "Outcome":
        """The entities of the test split, and of validation where it is kept."""

    def reopen(self, directory: Path, backbone: Backbone) -> "SpanModel | None":
        """The fitted model of a finished run; None where a prompted backbone answers instead.

        Raises InputError where there is no model, or not the one that was saved.
        """


class SpanModel(Protocol):
    """A fitted model that places entities itself."""

    def find(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """The entities of each text (in the script the model reads), in text order."""

    def close(self) -> None:
        """Free what it holds."""


@dataclass(frozen=True)
class Experiment:
    """The parts of one run and where it reads and writes.

    `choices` names the option chosen in each group; `config` is the composed configuration as plain
    values, for the record.
    """

    dataset: Dataset
    script: Script
    prompt: Prompt
    backbone: Backbone
    regime: Regime
    decoding: Any
    restoration: Headline
    method: Method
    tracking: "Tracking"
    name: str
    experiment: str
    seed: int
    limit: Limit
    validate: bool
    resume: bool
    data: Path
    output: Path
    choices: Mapping[str, str]
    config: Mapping[str, Any]

    @property
    def trains(self) -> bool:
        """Whether something is learnt or chosen on the training files."""
        return bool(self.regime.trains or self.method.trains)

    @property
    def hints_from_training(self) -> bool:
        """Whether the training files are the source of the prompt's hints."""
        return self.prompt.hints is not None and self.regime.inherited("") is None

    @property
    def reads_training(self) -> bool:
        """Whether the training files must be there: to be learnt from, or to be shown."""
        return self.trains or self.hints_from_training or self.regime.shows_training

    @property
    def keeps_validation(self) -> bool:
        """Whether the validation split is predicted and kept."""
        return self.trains or self.validate

    def check(self, corpus: Corpus) -> None:
        """InputError for what can be known to be wrong before anything is computed."""
        self.backbone.check()
        self.regime.check(self.backbone, corpus.test_files)
        self.method.check(self, corpus)

    def tuned_on(self, corpus: Corpus) -> dict[str, str]:
        """The files that something was learnt or chosen on, with their SHA-256."""
        files = corpus.training_files
        shown = files if self.hints_from_training else {}
        return {**shown, **self.regime.tuned_on(files), **self.method.tuned_on(self, files)}

    def inputs(self, corpus: Corpus) -> dict[str, str]:
        """The SHA-256 of every file that goes into this run beside the backbone."""
        own = {**self.regime.inputs(), **self.method.inputs(self)}
        return {**corpus.training_files, **corpus.test_files, **own}

    def load(self) -> Corpus:
        """The corpus, in its original script."""
        return self.dataset.load(
            self.data, seed=self.seed, limit=self.limit, training=self.reads_training
        )
