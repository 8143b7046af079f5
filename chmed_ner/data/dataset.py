"""What every dataset of `conf/dataset/` offers, and the sample that is shipped."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from chmed_ner.data.corpus import (
    Corpus,
    Limit,
    Sentences,
    Splits,
    assemble,
    sample,
    sample_per_genre,
)
from chmed_ner.data.pseudo_labels import HeldOut, with_pseudo_labels
from chmed_ner.data.repairs import repaired
from chmed_ner.data.sources import Source, checksums, located, missing, read_sources
from chmed_ner.entities import LabelScheme, label_scheme
from chmed_ner.errors import InputError
from chmed_ner.knobs import Portion, Share

NO_TRAINING = (
    "dataset.train is null: name a training file, as in dataset.train=my/train.txt, or run "
    "without training (regime=zero_shot)"
)


class MissingTrainingFileError(InputError):
    """A training file is not there; zero-shot runs and statistics can do without it."""


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """Named files in named splits, read into a corpus; subclasses say which files.

    `labels` is a scheme of `conf/labels`; training does not depend on `genres` (None: all). Without
    `gold` the test files are predicted, not scored.
    """

    name: str
    labels: Mapping[str, Any]
    genres: Sequence[str] | None
    gold: bool
    validation_share: Share
    empty_share: Portion
    split_seed: int | None
    pseudo_labels: str | None
    pseudo_confidence: Portion

    def __post_init__(self) -> None:
        """InputError: labels that are no scheme, genres outside the choices."""
        _ = self.tested
        if not self.guesses:
            _ = self.scheme

    @property
    def guesses(self) -> bool:
        """Whether the types are still to be found in the files (labels=auto)."""
        return isinstance(self.labels, Mapping) and self.labels.get("types", ...) is None

    def with_labels(self, root: Path) -> "Dataset":
        """The dataset with the types that its files hold, for labels=auto; else itself."""
        if self.guesses:
            raise InputError(
                f"labels=auto: dataset '{self.name}' has a scheme of its own; leave it out"
            )
        return self

    @cached_property
    def scheme(self) -> LabelScheme:
        """The entity types."""
        labels = self.labels
        if not isinstance(labels, Mapping) or set(labels) - {"nested"} != {"name", "types"}:
            raise InputError(
                "dataset.labels: needs the keys name and types; choose a scheme of conf/labels "
                "with labels@dataset.labels=health10"
            )
        if not isinstance(labels["types"], Mapping):
            raise InputError("dataset.labels.types: must map each tag to its names")
        nested = labels.get("nested", False)
        return label_scheme(str(labels["name"]), labels["types"], nested=nested)

    @cached_property
    def tested(self) -> tuple[str, ...]:
        """The genres to test, in the dataset's order."""
        choices, given = self.choices, self.genres
        if given is None:
            return choices
        fine = isinstance(given, Sequence) and not isinstance(given, str)
        listed = [str(genre) for genre in given] if fine else []
        chosen = tuple(genre for genre in choices if genre in listed)
        if not listed or len(chosen) != len(listed):
            raise InputError(
                f"dataset.genres={given!r}: give a list of some of {', '.join(choices)}, each "
                f"once, as in {example(choices[:2])}, or null for all"
            )
        return chosen

    @property
    @abstractmethod
    def choices(self) -> tuple[str, ...]:
        """The genres that can be tested, in order."""

    @abstractmethod
    def sources(self, root: Path, split: str) -> tuple[Source, ...]:
        """The files of `train`, `validation` (none: it is carved from the training data) or `test`
        (those of the chosen genres), seen from the data root `root`."""

    def raw(self, root: Path, *, training: bool = True) -> Mapping[str, Sentences]:
        """What the files hold by split, unchanged; errors as `load`."""
        read = self._read(root, training)
        validation = {} if read.validation is None else {"validation": read.validation}
        return {"train": read.train, **validation, "test": read.test}

    def annotated(self, root: Path, *, seed: int, limit: Limit) -> Sentences:
        """Every annotated sentence, whatever its split, tags repaired, each split brought to its
        limit; those of the test files alone where there are no training files. Errors as `load`."""
        read = self._read(root, training=bool(self.sources(root, "train")))
        found = (
            *sample(read.train, limit.train, seed),
            *sample(read.validation or (), limit.validation, seed),
            *(sample_per_genre(read.test, limit.test, seed) if self.gold else ()),
        )
        return tuple(map(repaired, found))

    def load(self, root: Path, *, seed: int, limit: Limit, training: bool = True) -> Corpus:
        """The corpus of an experiment; without `training`, training files may be missing.

        InputError: a missing file (MissingTrainingFileError: for training), bad content, a genre
        without test sentences.
        """
        read = self._read(root, training)
        corpus = self._assembled(read, seed, limit)
        if self.pseudo_labels is None or not training:
            return corpus
        sources = replace(self, genres=None).sources(root, "test")
        return with_pseudo_labels(
            corpus,
            located(self.pseudo_labels, root),
            self.pseudo_confidence,
            (*read.train, *(read.validation or ())),
            HeldOut.read(sources, root, self.scheme),
        )

    def load_test(self, root: Path, *, seed: int, limit: Limit) -> Corpus:
        """The corpus with its test split alone, as `load` gives it."""
        test, test_files = self._read_test(root)
        return self._assembled(Splits((), (), test, {}, test_files), seed, limit)

    def _assembled(self, read: Splits, seed: int, limit: Limit) -> Corpus:
        return assemble(
            self.name,
            self.scheme,
            read,
            share=self.validation_share,
            seed=seed if self.split_seed is None else self.split_seed,
            limit=limit,
            empty_share=self.empty_share,
            gold=self.gold,
        )

    def _read(self, root: Path, training: bool) -> Splits:
        test, test_files = self._read_test(root)
        train, validation = self.sources(root, "train"), self.sources(root, "validation")
        problem = missing((*train, *validation)) if train else NO_TRAINING
        if problem and training:
            raise MissingTrainingFileError(problem)
        if problem:
            train = validation = ()
        return Splits(
            train=read_sources(train, "train", self.scheme),
            validation=read_sources(validation, "validation", self.scheme) or None,
            test=test,
            training_files=checksums((*train, *validation)),
            test_files=test_files,
        )

    def _read_test(self, root: Path) -> tuple[Sentences, Mapping[str, str]]:
        sources = self.sources(root, "test")
        if problem := missing(sources):
            raise InputError(problem)
        test = read_sources(sources, "test", self.scheme)
        if not self.gold:
            test = tuple(replace(sentence, tags=None, entities=()) for sentence in test)
        found = {sentence.genre for sentence in test}
        for genre in self.tested:
            if genre not in found:
                raise InputError(
                    f"dataset '{self.name}': the test split of genre {genre} is empty; leave the "
                    f"genre out of dataset.genres ({example(sorted(found))})"
                )
        return test, checksums(sources)


def example(genres: Sequence[str]) -> str:
    """The override that chooses `genres`."""
    return f"'dataset.genres=[{','.join(genres)}]'"


_SAMPLE = Path(__file__).resolve().parent / "sample"


@dataclass(frozen=True, kw_only=True)
class Sample(Dataset):
    """The shipped sample corpus: ours, for demonstration and tests, not a benchmark."""

    name: str = field(default="sample", init=False)
    choices: ClassVar[tuple[str, ...]] = ("FT", "SM", "WA")
    validation_share: float = field(default=0, init=False)

    def sources(self, root: Path, split: str) -> tuple[Source, ...]:
        """The files of a split, from the package."""
        cure = "the installation is incomplete: install chmed-ner again"
        names = {
            genre: f"{split}_{genre}.txt"
            for genre in (self.tested if split == "test" else self.choices)
        }
        return tuple(
            Source(f"sample/{name}", _SAMPLE / name, f"sample/{split}/{genre}/", (genre,), cure)
            for genre, name in names.items()
        )
