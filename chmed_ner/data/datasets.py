"""The datasets that `conf/dataset/*.yaml` name as `_target_`.

A new dataset is a class here (or in a module of its own, imported here) and a YAML file.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chmed_ner.data.dataset import Dataset
from chmed_ner.data.official import ROCLING2022, ROCLING2023, HealthNER
from chmed_ner.data.preparation import Preparation
from chmed_ner.data.sources import ColumnSource, Source
from chmed_ner.errors import InputError

__all__ = ["ROCLING2022", "ROCLING2023", "ColumnFiles", "Dataset", "HealthNER", "Sample"]

_SAMPLE = Path(__file__).resolve().parent / "sample"
_SAMPLE_GENRES = ("FT", "SM", "WA")
_GENRE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MIXED = "mixed"

Files = str | Sequence[str] | Mapping[str, str] | None


class Sample(Dataset):
    """The shipped sample corpus: ours, for demonstration and tests, not a benchmark."""

    def __init__(
        self,
        *,
        labels: Mapping[str, Any],
        genres: Sequence[str] | None = None,
        empty_share: float = 1.0,
        repair_conflicts: float = 0.0,
        replace_entities: float = 0.0,
        split_seed: int | None = None,
    ) -> None:
        super().__init__(
            name="sample",
            labels=labels,
            choices=_SAMPLE_GENRES,
            genres=genres,
            validation_share=0,
            preparation=Preparation(empty_share, repair_conflicts, replace_entities),
            split_seed=split_seed,
        )

    def test_sources(self, root: Path) -> tuple[Source, ...]:  # noqa: ARG002
        """The test files of the chosen genres, from the package."""
        return _sample("test", self.genres)

    def training_sources(self, root: Path) -> tuple[Source, ...]:  # noqa: ARG002
        """The training files, from the package."""
        return _sample("train", _SAMPLE_GENRES)

    def validation_sources(self, root: Path) -> tuple[Source, ...] | None:  # noqa: ARG002
        """The validation files, from the package."""
        return _sample("validation", _SAMPLE_GENRES)


def _sample(split: str, genres: Sequence[str]) -> tuple[Source, ...]:
    cure = "the installation is incomplete: install chmed-ner again"
    return tuple(
        ColumnSource(
            f"sample/{split}_{genre}.txt",
            _SAMPLE / f"{split}_{genre}.txt",
            f"sample/{split}/{genre}/",
            genre,
            cure,
        )
        for genre in genres
    )


class ColumnFiles(Dataset):
    """A user's own corpus in the column format, with its own label scheme.

    `test` maps a genre to its file. `train` and `validation` are a file, a list of files or such a
    mapping; `train` may be None where nothing is trained, `validation` None is carved from the
    training data. Relative paths are taken from the data root. A training file without a genre of
    its own gets the test genre where there is only one, else `mixed`.
    """

    def __init__(
        self,
        *,
        name: str,
        labels: Mapping[str, Any],
        test: Mapping[str, str],
        train: Files = None,
        validation: Files = None,
        validation_share: float = 0.1,
        empty_share: float = 1.0,
        repair_conflicts: float = 0.0,
        replace_entities: float = 0.0,
        split_seed: int | None = None,
        genres: Sequence[str] | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise InputError(f"dataset.name={name!r}: give the corpus a name")
        if not isinstance(test, Mapping) or not test:
            raise InputError(
                f"dataset.test={test!r}: must map each genre to its gold file, as in "
                "'dataset.test={FT: my/test.txt}'"
            )
        super().__init__(
            name=name,
            labels=labels,
            choices=tuple(map(str, test)),
            genres=genres,
            validation_share=validation_share,
            preparation=Preparation(empty_share, repair_conflicts, replace_entities),
            split_seed=split_seed,
        )
        self._test = _listed("test", test, "")
        only = self._test[0][0] if len(self._test) == 1 else _MIXED
        self._train = _listed("train", train, only)
        self._validation = _listed("validation", validation, only)

    def test_sources(self, root: Path) -> tuple[Source, ...]:
        """The gold files of the chosen genres."""
        return tuple(
            self._source(root, "test", genre, path, f"{genre}/")
            for genre, path in self._test
            if genre in self.genres
        )

    def training_sources(self, root: Path) -> tuple[Source, ...]:
        """The training files, in the order given."""
        return self._sources(root, "train", self._train)

    def validation_sources(self, root: Path) -> tuple[Source, ...] | None:
        """The validation files, None when there are none."""
        return self._sources(root, "validation", self._validation) or None

    def _sources(
        self, root: Path, split: str, files: Sequence[tuple[str, str]]
    ) -> tuple[Source, ...]:
        return tuple(
            self._source(root, split, genre, path, f"{number}/" if len(files) > 1 else "")
            for number, (genre, path) in enumerate(files)
        )

    def _source(self, root: Path, split: str, genre: str, path: str, part: str) -> ColumnSource:
        given = Path(path).expanduser()
        cure = f"dataset.{split} names {path!r}" + (
            "; correct the path"
            if given.is_absolute()
            else f", and relative paths are taken from paths.data ({root}); correct it, or give "
            "an absolute path"
        )
        prefix = f"{self.name}/{split}/{part}"
        return ColumnSource(path, root / given, prefix, genre, cure)


def _listed(key: str, files: Files, genre: str) -> tuple[tuple[str, str], ...]:
    """Genre and path of each file; `genre` where the configuration names none."""
    if files is None:
        return ()
    if isinstance(files, str):
        pairs: list[tuple[Any, Any]] = [(genre, files)]
    elif isinstance(files, Mapping):
        pairs = list(files.items())
    elif isinstance(files, Sequence):
        pairs = [(genre, file) for file in files]
    else:
        pairs = [(genre, files)]
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
