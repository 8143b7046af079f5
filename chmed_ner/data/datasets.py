"""A user's own column files, and the official corpora: HealthNER, and two that train on it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from chmed_ner.data.dataset import Dataset, Source, example
from chmed_ner.data.healthner import GENRES as HEALTHNER_GENRES, read_healthner
from chmed_ner.entities import LabelScheme, Sentence
from chmed_ner.errors import InputError
from chmed_ner.knobs import one_of


class HealthNERSource(Source):
    """A file of HealthNER, of which `genres` are read."""

    def read(self, split: str, labels: LabelScheme) -> tuple[Sentence, ...]:
        """Its sentences; InputError for bad content."""
        return read_healthner(
            self.path, prefix=self.prefix, split=split, genres=self.genres, labels=labels
        )


_GENRE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

Files = str | Sequence[str] | Mapping[str, str] | None


@dataclass(frozen=True, kw_only=True)
class ColumnFiles(Dataset):
    """A user's own corpus in the column format, with its own label scheme.

    `test` maps a genre to its file; `train` and `validation` are a file, a list or such a mapping.
    A file without a genre gets the test genre where there is only one, else `mixed`.
    """

    test: Mapping[str, str]
    train: Files
    validation: Files

    def __post_init__(self) -> None:
        """InputError also: no name, files that are no paths."""
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
        only = self.choices[0] if len(self.test) == 1 else "mixed"
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
        if not isinstance(name, str) or not _GENRE.fullmatch(name) or name == "all":
            raise InputError(
                f"dataset.{key}: {name!r} cannot name a genre; use letters, digits, `_`, `.` and "
                "`-` (`all` is taken: it names the sum of the genres); YAML wants quotes around "
                "what looks like a number, yes or no"
            )
    if len(pairs) != len({path for _, path in pairs}):
        raise InputError(f"dataset.{key}: a file is listed twice; list each once")
    return tuple((str(name), path) for name, path in pairs)


@dataclass(frozen=True, kw_only=True)
class _TrainedOnHealthNER(Dataset):
    """Trains on the part of HealthNER that `healthner_part` names."""

    healthner_part: Annotated[str, one_of("train", "test")]
    either: ClassVar[bool] = True
    """Whether both parts can be trained on."""

    def training_sources(self, root: Path) -> tuple[Source, ...]:
        """The HealthNER part."""
        part = self.healthner_part
        other = "test" if part == "train" else "train"
        cure = f"dataset.healthner_part={part} trains on it: {_fetch('healthner')}"
        if self.either:
            cure += f", or train on the other part: dataset.healthner_part={other}"
        return (_healthner(root, part, HEALTHNER_GENRES, cure),)


@dataclass(frozen=True, kw_only=True)
class HealthNER(_TrainedOnHealthNER):
    """HealthNER: trains on its 28,161 sentences, tests on the 2,531 of `test.json`."""

    name: str = field(default="healthner", init=False)
    choices: ClassVar[tuple[str, ...]] = HEALTHNER_GENRES
    either: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse to train on what is tested."""
        super().__post_init__()
        if self.healthner_part == "test":
            raise InputError(
                "dataset.healthner_part=test: dataset=healthner tests on that part, so it cannot "
                "train on it; use dataset.healthner_part=train"
            )

    def test_sources(self, root: Path) -> tuple[Source, ...]:
        """The 2,531-sentence part."""
        return (_healthner(root, "test", self.tested, _fetch("healthner")),)


@dataclass(frozen=True, kw_only=True)
class ROCLING2022(_TrainedOnHealthNER):
    """ROCLING-2022: trains on a part of HealthNER, tests on 3,205 Wikipedia sentences.

    `without_last_sentence` leaves out the last one, which the paper lost: its Table 2 counts 3,204.
    """

    name: str = field(default="rocling2022", init=False)
    choices: ClassVar[tuple[str, ...]] = ("WA",)
    without_last_sentence: bool

    def test_sources(self, root: Path) -> tuple[Source, ...]:
        """The gold file."""
        end = -1 if self.without_last_sentence else None
        return (_rocling2022(root, _fetch("rocling2022"), end),)


@dataclass(frozen=True, kw_only=True)
class ROCLING2023(_TrainedOnHealthNER):
    """ROCLING-2023: three genres; `protocol=shared_task` trains on ROCLING-2022 as well."""

    name: str = field(default="rocling2023", init=False)
    choices: ClassVar[tuple[str, ...]] = ("FT", "SM", "WA")
    protocol: Annotated[str, one_of("paper", "shared_task")]

    def test_sources(self, root: Path) -> tuple[Source, ...]:
        """One gold file a genre."""
        names = {genre: f"rocling2023/MultiNER-Health_truth_{genre}.txt" for genre in self.tested}
        there = [genre for genre, name in names.items() if (root / name).is_file()]
        leave_out = f", or leave the genre out: {example(there)}" if there else ""
        cure = f"dataset.genres (all, unless it is set) asks for it: {_fetch('rocling2023')}"
        return tuple(
            Source(name, root / name, f"rocling2023/{genre}/", (genre,), cure + leave_out)
            for genre, name in names.items()
        )

    def training_sources(self, root: Path) -> tuple[Source, ...]:
        """The HealthNER part, under `shared_task` the ROCLING-2022 sentences too."""
        healthner = super().training_sources(root)
        if self.protocol == "paper":
            return healthner
        cure = (
            f"dataset.protocol=shared_task trains on it: {_fetch('rocling2022')}, or use "
            "dataset.protocol=paper"
        )
        return (*healthner, _rocling2022(root, cure))


def _fetch(corpus: str) -> str:
    return (
        f"fetch it with `chmed-ner data fetch {corpus}`, or point paths.data (CHMED_NER_DATA) at "
        "the folder that holds it"
    )


def _healthner(root: Path, part: str, genres: tuple[str, ...], cure: str) -> Source:
    plain, packed = f"healthner/{part}.json", f"healthner/{part}.zip"
    name = packed if (root / packed).is_file() and not (root / plain).is_file() else plain
    return HealthNERSource(name, root / name, f"healthner/{part}/", genres, cure)


def _rocling2022(root: Path, cure: str, end: int | None = None) -> Source:
    name = "rocling2022/ROCLING22_CHNER_truth.txt"
    return Source(name, root / name, "rocling2022/WA/", ("WA",), cure, end)
