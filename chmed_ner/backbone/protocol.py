"""What the runner needs of a backbone, and the records that pass between them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from chmed_ner.entities.types import Completion
from chmed_ner.model.asking import Generator


class Backbone(Protocol):
    """A source of text, before anything heavy is loaded."""

    @property
    def name(self) -> str:
        """Its name in tags and tables."""

    def check(self) -> None:
        """InputError if it cannot be loaded, before anything heavy is."""

    @property
    def constrains(self) -> bool:
        """Do its answers follow a request's grammar?"""

    def checksum(self) -> str:
        """What identifies its weights: two backbones of one checksum answer alike."""

    def counter(self) -> Callable[[str], int]:
        """How many tokens a text has, without the weights; for an endpoint about as many."""

    def generator(self, *, stop: Sequence[str], seed: int) -> Generator:
        """The backbone as it is, loaded; it stops at its own end token or at a string in `stop`."""

    def usd(self, completions: Iterable[Completion]) -> float:
        """What its provider was paid for a run's completions, in US dollars."""

    def tunable(self) -> Any:
        """This backbone as a `CausalLM` that can be tuned; InputError when it has no weights."""
