"""The official corpora, as `catalog.toml` describes them.

Corpora are never shipped with the package: a user downloads them (`chmed-ner data fetch`).
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from chmed_ner.errors import InputError

BASE_URL = "https://raw.githubusercontent.com"
"""Where repositories are read from; a mirror has `{repository}/{commit}/{file}` below its own."""

Algorithm = Literal["SHA-256", "git blob id"]


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One published file; its name is the same on disk and at the root of `repository`."""

    path: str
    repository: str
    commit: str
    checksum: str
    content: str
    algorithm: Algorithm = "SHA-256"
    size: int | None = None
    unpacked: str | None = None

    @property
    def name(self) -> str:
        """The file's name, the same in the repository and on disk."""
        return self.path.rpartition("/")[2]

    def url(self, base_url: str = BASE_URL) -> str:
        """Where the file is read from below `base_url`."""
        where = f"{self.repository}/{self.commit}/{self.name}"
        return f"{base_url.rstrip('/')}/{quote(where)}"


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus: its name on the command line, its title, its files, its citation and licence."""

    name: str
    title: str
    files: tuple[CorpusFile, ...]
    citation: str
    licence: str = (
        "none named in the repository; the overview papers make the data available for research. "
        "Do not pass the files on."
    )


def _corpora() -> tuple[Corpus, ...]:
    content = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    found = []
    for corpus in content["corpus"]:
        place = {key: corpus.pop(key) for key in ("repository", "commit")}
        files = tuple(CorpusFile(**place, **file) for file in corpus.pop("files"))
        found.append(Corpus(files=files, **corpus))
    return tuple(found)


CORPORA = _corpora()
"""Every corpus that can be fetched, in the order of publication."""


def named_corpora(names: Sequence[str]) -> tuple[Corpus, ...]:
    """The corpora of these names, each once, in catalogue order; all of them for no names.

    Raises InputError for a name that the catalogue does not have.
    """
    known = [corpus.name for corpus in CORPORA]
    for name in names:
        if name not in known:
            near = get_close_matches(name.lower(), known, n=1)
            raise InputError(
                f"no corpus '{name}'"
                + (f"; did you mean '{near[0]}'?" if near else ";")
                + f" The corpora are: {', '.join(known)}"
            )
    return tuple(corpus for corpus in CORPORA if not names or corpus.name in names)
