"""An experiment: every part chosen, built and light; nothing is loaded yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.data.corpus import Corpus, Limit
from chmed_ner.labels import LabelScheme
from chmed_ner.prompt import Prompt
from chmed_ner.restore import Headline
from chmed_ner.script import Script

if TYPE_CHECKING:
    from chmed_ner.track import Tracking


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
    regime: Any
    decoding: Any
    restoration: Headline
    method: Any
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

    def inputs(self, corpus: Corpus) -> dict[str, str]:
        """The SHA-256 of every file that goes into this run beside the backbone."""
        return {**corpus.training_files, **corpus.test_files, **self.regime.inputs()}

    def load(self) -> Corpus:
        """The corpus, in its original script."""
        return self.dataset.load(
            self.data, seed=self.seed, limit=self.limit, training=self.regime.trains
        )
