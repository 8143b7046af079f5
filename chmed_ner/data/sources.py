"""The files that a dataset is read from, and their checksums."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chmed_ner.data.catalog import altered_files
from chmed_ner.data.columns import read_columns
from chmed_ner.data.formats import read_annotated
from chmed_ner.entities import LabelScheme, Sentence
from chmed_ner.files import checksums as checksums_in, sha256_of, text_sha256

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a dataset: an official column file, of one genre.

    `name` is its path relative to the data root, or as the user gave it; `prefix` begins the ids of
    its sentences; `cure` helps when it is missing; sentences from number `end` on are left out;
    without `gold` it may hold characters alone; `sha256` is that of the published file.
    """

    name: str
    path: Path
    prefix: str
    genres: tuple[str, ...]
    cure: str
    end: int | None = None
    gold: bool = True
    sha256: str | None = None

    def read(self, split: str, labels: LabelScheme) -> tuple[Sentence, ...]:
        """Its sentences; InputError for bad content."""
        (genre,) = self.genres
        if not self.gold:
            texts = read_annotated(self.path, "columns", {"gold": False}).texts[: self.end]
            return tuple(
                Sentence(f"{self.prefix}{number:05d}", split, genre, each.text)
                for number, each in enumerate(texts)
            )
        found = read_columns(self.path, prefix=self.prefix, split=split, genre=genre, labels=labels)
        return found[: self.end]


def missing(sources: Iterable[Source]) -> str | None:
    """The first source that is not there, and the cure, if any."""
    for source in sources:
        if not source.path.exists():
            return f"{source.path}: no such file; {source.cure}"
    return None


def read_sources(
    sources: Iterable[Source], split: str, labels: LabelScheme
) -> tuple[Sentence, ...]:
    """The sentences of all files, one file after the other."""
    return tuple(sentence for source in sources for sentence in source.read(split, labels))


def checksums(sources: Sequence[Source]) -> Mapping[str, str]:
    """The SHA-256 of each file by its name (of a folder: of the list of its files and theirs); a
    warning for an official file that was altered."""
    paths = {source.name: source.path for source in sources}
    found = {
        name: text_sha256(json.dumps(checksums_in(path))) if path.is_dir() else sha256_of(path)
        for name, path in paths.items()
    }
    for name in altered_files(found):
        log.warning(
            "%s: not the published file (SHA-256 %s...), so no figure on it is official; move it "
            "away and fetch the published one: chmed-ner data fetch %s",
            paths[name],
            found[name][:12],
            name.partition("/")[0],
        )
    for source in sources:
        if source.sha256 not in (None, found[source.name]):
            log.warning(
                "%s: not the published file (its SHA-256 begins with %s, the published one's with "
                "%s), so figures on it do not compare with published ones",
                source.path,
                found[source.name][:12],
                str(source.sha256)[:12],
            )
    return found
