"""The files a dataset is read from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chmed_ner.data.columns import read_columns
from chmed_ner.data.healthner import read_healthner
from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.types import Sentence
from chmed_ner.files import sha256_of


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a dataset: an official column file, of one genre.

    `name` is its path relative to the data root, or as the user gave it; `prefix` begins the ids of
    its sentences; `genres` are those that are read from it; `cure` is what to do when it is
    missing; the sentences from number `end` on (None: none) are left out.
    """

    name: str
    path: Path
    prefix: str
    genres: tuple[str, ...]
    cure: str
    end: int | None = None

    def read(self, split: str, labels: LabelScheme) -> tuple[Sentence, ...]:
        """Its sentences; InputError for bad content."""
        (genre,) = self.genres
        found = read_columns(self.path, prefix=self.prefix, split=split, genre=genre, labels=labels)
        return found[: self.end]


class HealthNERSource(Source):
    """A file of HealthNER."""

    def read(self, split: str, labels: LabelScheme) -> tuple[Sentence, ...]:
        """Its sentences of `genres`; InputError for bad content."""
        return read_healthner(
            self.path, prefix=self.prefix, split=split, genres=self.genres, labels=labels
        )


def missing(sources: Iterable[Source]) -> str | None:
    """The first source that is no file, and the cure; None when all are there."""
    for source in sources:
        if not source.path.is_file():
            return f"{source.path}: no such file; {source.cure}"
    return None


def read_sources(
    sources: Iterable[Source], split: str, labels: LabelScheme
) -> tuple[Sentence, ...]:
    """The sentences of all files, one file after the other."""
    return tuple(sentence for source in sources for sentence in source.read(split, labels))


def checksums(sources: Iterable[Source]) -> Mapping[str, str]:
    """Each file's name and the SHA-256 of its bytes."""
    return {source.name: sha256_of(source.path) for source in sources}
