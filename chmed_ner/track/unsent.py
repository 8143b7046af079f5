"""What MLflow still lacks of a run: a note in its directory, there until the run is uploaded."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chmed_ner.errors import InputError
from chmed_ner.files import read_json, write_json

FILE = "unsent.json"


@dataclass
class Unsent:
    """The note `unsent.json`: where the run belongs, and what to send beside its history.

    `uri` is without credentials; `artifacts` are names in the run directory; `ended` is in
    milliseconds since 1970, 0 while the run goes on.
    """

    uri: str
    reason: str
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    ended: int = 0

    def write(self, directory: Path) -> None:
        """Write the note atomically."""
        write_json(directory / FILE, asdict(self))

    @classmethod
    def read(cls, directory: Path) -> "Unsent":
        """The note in `directory`; InputError when it is missing or of another shape."""
        content = read_json(directory / FILE)
        try:
            return cls(**content)
        except TypeError:
            raise InputError(f"{directory / FILE}: not a note of what is to be sent") from None


def has_unsent(directory: Path) -> bool:
    """Whether MLflow lacks something of the run in `directory`."""
    return (directory / FILE).is_file()
