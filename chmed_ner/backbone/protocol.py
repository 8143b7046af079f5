"""What a run needs of a backbone."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chmed_ner.entities.types import Completion
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Generator


class Backbone(ABC):
    """A source of text, before anything heavy is loaded; `name` names it in tags and tables."""

    name: str

    @property
    def constrains(self) -> bool:
        """Do its answers follow a request's grammar?"""
        return False

    def check(self) -> None:  # noqa: B027
        """InputError if it cannot be loaded, before anything heavy is."""

    @abstractmethod
    def checksum(self) -> str:
        """What identifies its weights: two backbones of one checksum answer alike."""

    @abstractmethod
    def counter(self) -> Callable[[str], int]:
        """How many tokens a text has, without the weights; for an endpoint about as many."""

    @abstractmethod
    def generator(self, *, stop: Sequence[str], seed: int) -> Generator:
        """The backbone as it is, loaded; it stops at its own end token or at a string in `stop`."""

    def usd(self, completions: Iterable[Completion]) -> float:  # noqa: ARG002
        """What its provider was paid for a run's completions, in US dollars: here nothing."""
        return 0.0

    def tunable(self) -> Any:
        """This backbone as a `CausalLM` that can be tuned; InputError when it has no weights."""
        raise InputError(
            f"backbone={self.name} has no weights to tune; use regime=zero_shot with it, or "
            "another backbone with this regime"
        )
