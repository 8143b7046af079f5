"""What a run needs of a backbone, and of a regime, which makes it ready to be asked."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from chmed_ner.entities import Completion, Grammar
from chmed_ner.errors import InputError
from chmed_ner.model import Generator

if TYPE_CHECKING:
    from chmed_ner.data import Corpus
    from chmed_ner.model import LoadedModel
    from chmed_ner.prompt import TaskPrompt


class Backbone(ABC):
    """A source of text, before anything heavy is loaded; `name` names it in tags and tables."""

    name: str

    @property
    def constrains(self) -> bool:
        """Do its answers follow a request's grammar?"""
        return False

    @property
    def address(self) -> str:
        """Where questions and a key are sent, in words; empty: nowhere."""
        return ""

    def check(self) -> None:  # noqa: B027
        """InputError if it cannot be loaded, before anything heavy is."""

    def forgetful(self) -> "Backbone":
        """This backbone, which writes no question and no answer to disk."""
        return self

    @abstractmethod
    def checksum(self) -> str:
        """What identifies its weights: two backbones of one checksum answer alike."""

    @abstractmethod
    def counter(self) -> Callable[[str], int]:
        """How many tokens a text has, without the weights; for an endpoint about as many."""

    @abstractmethod
    def generator(self, *, stop: Sequence[str], seed: int) -> Generator:
        """The backbone as it is, loaded; it stops at its own end token or at a string in `stop`."""

    def usd(self, completions: Iterable[Completion]) -> float:
        """What its provider was paid for a run's completions, in US dollars: here nothing."""
        return 0.0

    def tunable(self) -> Any:
        """This backbone as a `CausalLM` that can be tuned; InputError when it has no weights."""
        raise InputError(
            f"backbone={self.name} has no weights to tune; use regime=zero_shot with it, or "
            "another backbone with this regime"
        )


Log = Callable[[Mapping[str, float], int], None]
Note = Callable[[Mapping[str, int]], None]


def _nothing(*_: object) -> None:
    """Nobody listens."""


def _no_grammar(number: int) -> Grammar:  # noqa: ARG001
    raise InputError(
        "regime.candidate_softmax=true: the answers of this task have no grammar to take "
        "candidates from; use regime.candidate_softmax=false"
    )


@dataclass(frozen=True)
class Task:
    """What a regime may use: training pairs (prompt, answer), a judge of generators, a place.

    `dev_f1` scores a generator on validation (percent), None without one; `log` takes metrics of a
    step, `note` counts for `run.json`. `grammar(n)`: what an answer to pair n may look like.
    """

    pairs: Sequence[tuple[str, str]]
    stop: Sequence[str]
    dev_f1: Callable[[Generator, int], float] | None
    directory: Path
    seed: int
    log: Log = _nothing
    note: Note = _nothing
    grammar: Callable[[int], Grammar] = _no_grammar


class Regime(ABC):
    """Makes a generator of a backbone and a task.

    `trains`: something is learnt from the training split. `shows_training`: sentences of it are
    shown before a question.
    """

    name: ClassVar[str]
    trains: ClassVar[bool] = False
    shows_training: ClassVar[bool] = False

    @property
    def draws(self) -> bool:
        """Do demonstrations depend on the seed?"""
        return False

    def check(self, backbone: Backbone, test_files: Mapping[str, str]) -> None:  # noqa: B027
        """InputError for what can be known to be wrong before anything is loaded."""

    def check_prompt(self, prompt: "TaskPrompt") -> None:
        """InputError when the prompt does not suit the regime."""
        if prompt.examples:
            raise InputError(
                f"regime={self.name}: a tuned model has learnt the form and reads no examples; use "
                "examples@prompt.examples=none"
            )

    def tuned_on(self, training_files: Mapping[str, str]) -> dict[str, str]:
        """The files, with their SHA-256, that the answers may come from."""
        return dict(training_files) if self.trains else {}

    def inputs(self) -> dict[str, str]:
        """The SHA-256 of what goes into the run beside corpus and backbone."""
        return {}

    def inherited(self, name: str) -> Path | None:
        """The file `name` of the run whose tuned weights are used; None without such a run."""
        return None

    def demonstrated(
        self,
        prompt: "TaskPrompt",
        backbone: Backbone,
        directory: Path,
        *,
        seed: int,
        corpus: "Corpus | None" = None,
        note: Note | None = None,
    ) -> "TaskPrompt":
        """`prompt` with the demonstrations that the regime shows, from the corpus's training split.

        They are kept in `directory`; without a corpus they come from there.
        """
        return prompt

    @abstractmethod
    def prepare(self, backbone: Backbone, task: Task) -> Generator:
        """The backbone, ready to answer."""

    @abstractmethod
    def reopen(self, backbone: Backbone, directory: Path, stop: Sequence[str]) -> Generator:
        """The generator of the finished run in `directory`."""


class ZeroShot(Regime):
    """The backbone as it is."""

    name = "zero_shot"

    def check_prompt(self, prompt: "TaskPrompt") -> None:
        """Every prompt suits it."""

    def prepare(self, backbone: Backbone, task: Task) -> Generator:
        return note_weights(backbone.generator(stop=self.stops(task.stop), seed=task.seed), task)

    def reopen(self, backbone: Backbone, directory: Path, stop: Sequence[str]) -> Generator:
        """The backbone, loaded: nothing comes from the run."""
        return backbone.generator(stop=self.stops(stop), seed=0)

    def stops(self, stop: Sequence[str]) -> Sequence[str]:
        """At which strings an answer is over."""
        return stop


def note_weights(generator: Generator, task: Task) -> Generator:
    """`generator`, the memory of its weights noted among the run's counts if it has any here."""
    loaded: LoadedModel | None = getattr(generator, "loaded", None)
    if loaded is not None:
        task.note({"weight_bytes": loaded.weight_bytes})
    return generator
