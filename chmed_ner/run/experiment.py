"""An experiment, its parts built and nothing loaded; and what a method is."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from chmed_ner.backbone import Backbone, Greedy, Regime
from chmed_ner.data import Corpus, Dataset, Gazetteer, Limit
from chmed_ner.entities import Headline, Script, Span
from chmed_ner.errors import InputError
from chmed_ner.prompt import Prompt
from chmed_ner.track import config_hash

if TYPE_CHECKING:
    from chmed_ner.run.outcome import Outcome
    from chmed_ner.track import Tracker, Tracking


OPTIONAL = ("script", "prompt", "backbone", "regime", "decoding", "restoration")
"""The groups that a method may do without: they are then null in the configuration."""
EXTRA = ("gazetteer",)
"""The groups that a run may do without."""


class SpanModel(Protocol):
    """A fitted model that places entities itself."""

    def find(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """The entities of each text, which is in the model's script, in text order."""

    def judge(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> list[tuple[Span, ...]]:
        """The given entities of each text, with its confidence in each (None: it cannot tell)."""

    def close(self) -> None:
        """Free what it holds."""


class Method(ABC):
    """A way from a corpus to entities.

    `needs` are groups of OPTIONAL, `uses` of EXTRA, `named_by` the groups that name its runs.
    `trains`: something is learnt or chosen on the training files, validation included.
    """

    name: ClassVar[str]
    needs: ClassVar[Collection[str]] = ()
    uses: ClassVar[Collection[str]] = ()
    named_by: ClassVar[tuple[str, ...]] = ("method",)
    trains: ClassVar[bool] = False

    def check(self, experiment: "Experiment", corpus: Corpus) -> None:  # noqa: B027
        """InputError for what can be known to be wrong before anything is computed."""

    def tuned_on(
        self, experiment: "Experiment", training_files: Mapping[str, str]
    ) -> dict[str, str]:
        """The SHA-256 of the files that its predictions come from."""
        return dict(training_files) if self.trains else {}

    def inputs(self, experiment: "Experiment") -> dict[str, str]:
        """The SHA-256 of what goes into the run besides corpus and backbone."""
        return {}

    @abstractmethod
    def run(
        self, experiment: "Experiment", corpus: Corpus, directory: Path, tracker: "Tracker"
    ) -> "Outcome":
        """The entities of the test split, and of validation where it is kept."""

    def reopen(self, directory: Path, backbone: "Backbone | None") -> SpanModel | None:
        """The fitted model of a finished run; None where a prompted backbone answers instead.

        InputError: no model, or not the one that was saved.
        """
        return None


P = TypeVar("P")


class _Part(Generic[P]):
    """The part of the group that the attribute is named after."""

    def __set_name__(self, owner: type, group: str) -> None:
        self.group = group

    def __get__(self, experiment: "Experiment", owner: type) -> P:
        part: P = experiment.part(self.group)
        return part


@dataclass(frozen=True)
class Experiment:
    """One run: `parts` are those of the optional groups, `choices` the option of each group.

    `config` is the composed configuration without credentials, `command` what makes the run again;
    `sweep` is the one that it is a cell of, as in its record.
    """

    dataset: Dataset
    method: Method
    parts: Mapping[str, Any]
    tracking: "Tracking"
    name: str
    experiment: str
    seed: int
    limit: Limit
    validate: bool
    resume: bool
    language: str
    figures: Sequence[str]
    data: Path
    output: Path
    choices: Mapping[str, str]
    config: Mapping[str, Any]
    command: str = ""
    sweep: Mapping[str, str] = field(default_factory=dict)

    def part(self, group: str) -> Any:
        """The part of an optional group; InputError where the method uses none."""
        if group not in self.parts:
            raise InputError(
                f"{group}=none: the run's method uses no {group}, so there is none to show, parse "
                "or score again; only runs of a method that uses one can do this, such as "
                "method=generative"
            )
        return self.parts[group]

    script = _Part[Script]()
    prompt = _Part[Prompt]()
    backbone = _Part[Backbone]()
    regime = _Part[Regime]()
    decoding = _Part[Greedy]()

    @property
    def policy(self) -> str:
        """The headline restoration policy; `none` where the method places entities itself."""
        restoration: Headline | None = self.parts.get("restoration")
        return restoration.policy if restoration else "none"

    @cached_property
    def backbone_checksum(self) -> str:
        """The checksum of the backbone's weights; empty without a backbone."""
        return self.backbone.checksum() if "backbone" in self.parts else ""

    @property
    def word_lists(self) -> dict[str, str]:
        """The SHA-256 of each word list."""
        gazetteer: Gazetteer | None = self.parts.get("gazetteer")
        return gazetteer.checksums(self.data) if gazetteer else {}

    @property
    def trains(self) -> bool:
        """Whether something is learnt or chosen on the training files."""
        return self.method.trains or ("regime" in self.parts and self.regime.trains)

    @property
    def hints_from_training(self) -> bool:
        """Whether the training files are the source of the prompt's hints."""
        asks = "prompt" in self.parts and self.prompt.hints is not None
        return asks and self.regime.inherited("") is None

    @property
    def reads_training(self) -> bool:
        """Whether the training files must be there: to be learnt from, or to be shown."""
        shown = "regime" in self.parts and self.regime.shows_training
        return self.trains or self.hints_from_training or shown

    @property
    def keeps_validation(self) -> bool:
        """Whether the validation split is predicted and kept."""
        return self.trains or self.validate

    def check(self, corpus: Corpus) -> None:
        """InputError for what can be known to be wrong before anything is computed."""
        if "backbone" in self.parts:
            self.backbone.check()
        self.method.check(self, corpus)

    def tuned_on(self, corpus: Corpus) -> dict[str, str]:
        """The files that something was learnt or chosen on, with their SHA-256."""
        files = corpus.training_files
        shown = files if self.hints_from_training else {}
        return {**shown, **self.method.tuned_on(self, files), **self.word_lists}

    def identity(self, corpus: Corpus) -> str:
        """The config hash: two runs of one identity have the same results."""
        files = {**corpus.training_files, **corpus.test_files, **self.word_lists}
        inputs = {**files, **self.method.inputs(self)}
        return config_hash(self.config, inputs, self.backbone_checksum)

    def load(self) -> Corpus:
        """The corpus, in its original script, read at the first call."""
        return self._corpus

    @cached_property
    def _corpus(self) -> Corpus:
        return self.dataset.load(
            self.data, seed=self.seed, limit=self.limit, training=self.reads_training
        )
