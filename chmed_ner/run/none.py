"""The parts of an experiment whose method does without them: the options `none`.

They stand where the runner expects a part, have nothing to check, to hash or to load, and refuse
to be used.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from chmed_ner.backbone.regime import Regime
from chmed_ner.errors import InputError


class Unused:
    """Base of the options `none`; `name` is `none`, `group` the configuration group."""

    name = "none"
    group = ""

    def refuse(self) -> NoReturn:
        """Raise the InputError of a use."""
        raise InputError(
            f"{self.group}=none: the run's method uses no {self.group}, so there is none to show, "
            f"parse or score again; only runs of a method that uses one can do this, such as "
            "method=generative"
        )


class NoScript(Unused):
    """The text as it is."""

    group = "script"

    def convert(self, text: str) -> str:
        """`text` itself."""
        return text


class NoPrompt(Unused):
    """No prompt."""

    group = "prompt"
    hints = None

    def task(self, labels: object, script: str) -> NoReturn:  # noqa: ARG002
        """Refused: InputError."""
        self.refuse()


class NoBackbone(Unused):
    """No backbone."""

    group = "backbone"

    def check(self) -> None:
        """Nothing can be wrong."""

    def checksum(self) -> str:
        """Nothing to identify: the empty string."""
        return ""

    def generator(self, *, stop: Sequence[str], seed: int) -> NoReturn:  # noqa: ARG002
        """Refused: InputError."""
        self.refuse()

    def tunable(self) -> NoReturn:
        """Refused: InputError."""
        self.refuse()


class NoRegime(Unused, Regime):
    """Nothing happens to a backbone."""

    group = "regime"

    def prepare(self, backbone: object, task: Any) -> NoReturn:  # noqa: ARG002
        """Refused: InputError."""
        self.refuse()

    def reopen(self, backbone: object, directory: Path, stop: Sequence[str]) -> NoReturn:  # noqa: ARG002
        """Refused: InputError."""
        self.refuse()


class NoDecoding(Unused):
    """Nothing is decoded."""

    group = "decoding"

    def max_new_tokens(self, characters: int) -> NoReturn:  # noqa: ARG002
        """Refused: InputError."""
        self.refuse()


class NoRestoration(Unused):
    """Entities are placed by the method itself, so no policy is the headline."""

    group = "restoration"
    policy = "none"
