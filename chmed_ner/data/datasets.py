"""The datasets that `conf/dataset/*.yaml` name as `_target_`.

A new dataset is a class here (or in a module of its own, imported here) and a YAML file.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from chmed_ner.data.dataset import Dataset
from chmed_ner.data.official import ROCLING2022, ROCLING2023, HealthNER
from chmed_ner.data.sources import Source
from chmed_ner.errors import InputError

__all__ = ["ROCLING2022", "ROCLING2023", "ColumnFiles", "Dataset", "HealthNER", "Sample"]

_SAMPLE = Path(__file__).resolve().parent / "sample"
_GENRE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MIXED = "mixed"

Files = str | Sequence[str] | Mapping[str, str] | None


@dataclass(frozen=True, kw_only=True)
class Sample(Dataset):
    """The shipped sample corpus: ours, for demonstration and tests, not a benchmark."""

    name: str = field(default="sample", init=False)
    validation_share: float = field(default=0, init=False)

    @property
    def choices(self) -> tuple[str, ...]:
        """FT, SM and WA."""
        return ("FT", "SM", "WA")

    def test_sources(self, root: Path) -> tuple[Source, ...]:  # noqa: ARG002
        """The test files of the chosen genres, from the package."""
        return _sample("test", self.tested)

    def training_sources(self, root: Path) -> tuple[Source, ...]:  # noqa: ARG002
        """The training files, from the package."""
        return _sample("train", self.choices)

    def validation_sources(self, root: Path) -> tuple[Source, ...] | None:  # noqa: ARG002
        """The validation files, from the package."""
        return _sample("validation", self.choices)


def _sample(split: str, genres: Sequence[str]) -> tuple[Source, ...]:
    cure = "the installation is incomplete: install chmed-ner again"
    names = {genre: f"{split}_{genre}.txt" for genre in genres}
    return tuple(
        Source(f"sample/{name}", _SAMPLE / name, f"sample/{split}/{genre}/", (genre,), cure)
        for genre, name in names.items()
    )


@dataclass(frozen=True, kw_only=True)
class ColumnFiles(Dataset):
    """A user's own corpus in the column format, with its own label scheme.

    `test` maps a genre to its file. `train` and `validation` are a file, a list of files or such a
    mapping; `train` may be None where nothing is trained, `validation` None is carved from the
    training data. Relative paths are taken from the data root. A training file without a genre of
    its own gets the test genre where there is only one, else `mixed`.
    """

    test: Mapping[str, str]
    train: Files
    validation: Files

    def __post_init__(self) -> None:
        """Raise InputError also for a corpus without a name, and for files that are no paths."""
        if not self.name:
            raise InputError(f"dataset.name={self.name!r}: give the corpus a name")
        if not isinstance(self.test, Mapping) or not self.test:
            raise InputError(
                f"dataset.test={self.test!r}: must map each genre to its gold file, as in "
                "'dataset.test={FT: my/test.txt}'"
            )
        super().__post_init__()
        _ = self._listed

    @property
    def choices(self) -> tuple[str, ...]:
        """The genres of `test`."""
        return tuple(map(str, self.test))

    @cached_property
    def _listed(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """Genre and path of each file of a split."""
        only = self.choices[0] if len(self.test) == 1 else _MIXED
        files = {"test": self.test, "train": self.train, "validation": self.validation}
        return {split: _listed(split, given, only) for split, given in files.items()}

    def test_sources(self, root: Path) -> tuple[Source, ...]:
        """The gold files of the chosen genres."""
        files = [(genre, path) for genre, path in self._listed["test"] if genre in self.tested]
        return tuple(self._source(root, "test", each, f"{each[0]}/") for each in files)

    def training_sources(self, root: Path) -> tuple[Source, ...]:
        """The training files, in the order given."""
        return self._sources(root, "train")

    def validation_sources(self, root: Path) -> tuple[Source, ...] | None:
        """The validation files, None when there are none."""
        return self._sources(root, "validation") or None

    def _sources(self, root: Path, split: str) -> tuple[Source, ...]:
        files = self._listed[split]
        return tuple(
            self._source(root, split, file, f"{number}/" if len(files) > 1 else "")
            for number, file in enumerate(files)
        )

    def _source(self, root: Path, split: str, file: tuple[str, str], part: str) -> Source:
        genre, path = file
        given = Path(path).expanduser()
        cure = f"dataset.{split} names {path!r}" + (
            "; correct the path"
            if given.is_absolute()
            else f", and relative paths are taken from paths.data ({root}); correct it, or give "
            "an absolute path"
        )
        return Source(path, root / given, f"{self.name}/{split}/{part}", (genre,), cure)


def _listed(key: str, files: Files, genre: str) -> tuple[tuple[str, str], ...]:
    """Genre and path of each file; `genre` where the configuration names none."""
    if files is None:
        return ()
    pairs: list[tuple[Any, Any]]
    if isinstance(files, Mapping):
        pairs = list(files.items())
    else:
        listed = isinstance(files, Sequence) and not isinstance(files, str)
        pairs = [(genre, file) for file in (files if listed else [files])]
    for name, path in pairs:
        if not isinstance(path, str) or not path:
            raise InputError(f"dataset.{key}: {path!r} is not a path; name the file, or null")
        if not _GENRE.fullmatch(str(name)) or name == "all":
            raise InputError(
                f"dataset.{key}: {name!r} cannot name a genre; use letters, digits, `_`, `.` and "
                "`-` (`all` is taken: it names the sum of the genres)"
            )
    if len(pairs) != len({path for _, path in pairs}):
        raise InputError(f"dataset.{key}: a file is listed twice; list each once")
    return tuple((str(name), path) for name, path in pairs)
