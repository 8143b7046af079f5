"""The files a dataset is read from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chmed_ner.data.columns import read_columns
from chmed_ner.data.healthner import read_healthner
from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.types import Sentence
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of


class MissingTrainingFileError(InputError):
    """A training file is not there; zero-shot runs and statistics can do without it."""


class Source(Protocol):
    """A file and how to read it."""

    @property
    def name(self) -> str:
        """The path relative to the data root, or as the user gave it."""

    @property
    def path(self) -> Path:
        """Where the file lies."""

    @property
    def cure(self) -> str:
        """What to do when the file is missing."""

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres that are read from it."""

    def read(self, split: str, labels: LabelScheme) -> tuple[Sentence, ...]:
        """Its sentences; InputError for bad content."""


@dataclass(frozen=True, slots=True)
class ColumnSource:
    """An official column file of one genre; `prefix` begins the ids of its sentences."""

    name: str
    path: Path
    prefix: str
    genre: str
    cure: str

    @property
    def genres(self) -> tuple[str, ...]:
        """Its one genre."""
        return (self.genre,)

    def read(self, split: str, labels: LabelScheme) -> tuple[Sentence, ...]:
        """Its sentences; InputError for bad content."""
        return read_columns(
            self.path, prefix=self.prefix, split=split, genre=self.genre, labels=labels
        )


@dataclass(frozen=True, slots=True)
class ShortenedSource(ColumnSource):
    """An official column file, of which the last sentence is left out."""

    def read(self, split: str, labels: LabelScheme) -> tuple[Sentence, ...]:
        """All its sentences but the last; InputError for bad content."""
        return ColumnSource.read(self, split, labels)[:-1]


@dataclass(frozen=True, slots=True)
class HealthNERSource:
    """A file of HealthNER, of which only `genres` are wanted."""

    name: str
    path: Path
    prefix: str
    genres: tuple[str, ...]
    cure: str

    def read(self, split: str, labels: LabelScheme) -> tuple[Sentence, ...]:
        """Its sentences; InputError for bad content."""
        return read_healthner(
            self.path, prefix=self.prefix, split=split, genres=self.genres, labels=labels
        )


def missing(sources: Iterable[Source]) -> Source | None:
    """The first source whose file is not there."""
    return next((source for source in sources if not source.path.is_file()), None)


def read_sources(
    sources: Iterable[Source], split: str, labels: LabelScheme
) -> tuple[Sentence, ...]:
    """The sentences of all files, one file after the other."""
    return tuple(sentence for source in sources for sentence in source.read(split, labels))


def checksums(sources: Iterable[Source]) -> Mapping[str, str]:
    """Each file's name and the SHA-256 of its bytes."""
    return {source.name: sha256_of(source.path) for source in sources}
