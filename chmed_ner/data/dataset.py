"""What every dataset of `conf/dataset/` offers, and the checks of the knobs they share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chmed_ner.data.corpus import Corpus, Limit, Sentences, Splits, assemble
from chmed_ner.data.preparation import UNPREPARED, Preparation
from chmed_ner.data.sources import (
    MissingTrainingFileError,
    Source,
    checksums,
    missing,
    read_sources,
)
from chmed_ner.entities.labels import LabelScheme, label_scheme
from chmed_ner.errors import InputError

NO_TRAINING = (
    "dataset.train is null: name a training file, as in dataset.train=my/train.txt, or run "
    "without training (regime=zero_shot)"
)


class Dataset(ABC):
    """Named files in named splits, read into a corpus; subclasses say which files.

    `preparation` is what is done to the training split, by default nothing.
    `split_seed` (None: the run's seed) draws which sentences each split has.
    `genres` (None: all) chooses what is tested; the training data does not depend on it. Raises
    InputError at once for a knob with a value outside its choices.
    """

    def __init__(
        self,
        *,
        name: str,
        labels: Mapping[str, Any],
        choices: Sequence[str],
        genres: Sequence[str] | None,
        validation_share: float,
        preparation: Preparation = UNPREPARED,
        split_seed: int | None = None,
    ) -> None:
        self.name = name
        self.labels = scheme_of(labels)
        self.genres = chosen_genres(genres, choices)
        self.validation_share = checked_share(validation_share)
        self.preparation = preparation
        self.split_seed = split_seed

    @abstractmethod
    def test_sources(self, root: Path) -> tuple[Source, ...]:
        """The gold files of the chosen genres; `root` is the data root."""

    @abstractmethod
    def training_sources(self, root: Path) -> tuple[Source, ...]:
        """The training files."""

    def validation_sources(self, root: Path) -> tuple[Source, ...] | None:  # noqa: ARG002
        """The validation files; None where validation is carved from the training data."""
        return None

    def raw(self, root: Path, *, training: bool = True) -> Mapping[str, Sentences]:
        """Everything the files hold: `train` (before validation is carved and leaks are dropped),
        `validation` where it has files of its own, `test`.

        Raises InputError as `load` does.
        """
        read = self._read(root, training)
        validation = {} if read.validation is None else {"validation": read.validation}
        return {"train": read.train, **validation, "test": read.test}

    def load(self, root: Path, *, seed: int, limit: Limit, training: bool = True) -> Corpus:
        """The corpus of an experiment.

        With `training=False` a missing training file leaves `train` and `validation` empty; files
        that are there are read all the same, as the scores of seen and unseen mentions need them.
        Raises InputError for a missing file, bad content, a genre without test sentences, and
        (MissingTrainingFileError) a missing training file.
        """
        read = self._read(root, training)
        return assemble(
            self.name,
            self.labels,
            read,
            share=self.validation_share,
            seed=self._drawn_with(seed),
            limit=limit,
            preparation=self.preparation,
        )

    def load_test(self, root: Path, *, seed: int, limit: Limit) -> Corpus:
        """The corpus with its test split alone, as `load` gives it; training files are not read."""
        test, test_files = self._read_test(root)
        read = Splits((), (), test, {}, test_files)
        drawn_with = self._drawn_with(seed)
        return assemble(self.name, self.labels, read, share=0, seed=drawn_with, limit=limit)

    def _drawn_with(self, seed: int) -> int:
        """The seed that chooses the sentences of a run with `seed`."""
        return seed if self.split_seed is None else self.split_seed

    def _read(self, root: Path, training: bool) -> Splits:
        test, test_files = self._read_test(root)
        train_sources, own = self.training_sources(root), self.validation_sources(root)
        sources = (*train_sources, *(own or ()))
        problem = _absence(train_sources, sources)
        if problem and training:
            raise MissingTrainingFileError(problem)
        if problem:
            train_sources, sources = (), ()
            own = None if own is None else ()
        return Splits(
            train=read_sources(train_sources, "train", self.labels),
            validation=None if own is None else read_sources(own, "validation", self.labels),
            test=test,
            training_files=checksums(sources),
            test_files=test_files,
        )

    def _read_test(self, root: Path) -> tuple[Sentences, Mapping[str, str]]:
        """The test sentences, and the SHA-256 of their files."""
        sources = self.test_sources(root)
        if absent := missing(sources):
            raise InputError(f"{absent.path}: no such file; {absent.cure}")
        test = read_sources(sources, "test", self.labels)
        self._refuse_empty(test)
        return test, checksums(sources)

    def _refuse_empty(self, test: Sentences) -> None:
        found = {sentence.genre for sentence in test}
        for genre in self.genres:
            if genre not in found:
                raise InputError(
                    f"dataset '{self.name}': the test split of genre {genre} is empty; leave the "
                    f"genre out of dataset.genres ({example(sorted(found))})"
                )


def _absence(train: Sequence[Source], sources: Sequence[Source]) -> str | None:
    if not train:
        return NO_TRAINING
    absent = missing(sources)
    return f"{absent.path}: no such file; {absent.cure}" if absent else None


def scheme_of(labels: Mapping[str, Any]) -> LabelScheme:
    """The label scheme of a `conf/labels/*.yaml` file: a mapping with `name` and `types`."""
    if not isinstance(labels, Mapping) or set(labels) != {"name", "types"}:
        raise InputError(
            "dataset.labels: needs the keys name and types; choose a scheme of conf/labels with "
            "labels@dataset.labels=health10"
        )
    if not isinstance(labels["types"], Mapping):
        raise InputError("dataset.labels.types: must map each tag to its names")
    return label_scheme(str(labels["name"]), labels["types"])


def chosen_genres(genres: Sequence[str] | None, choices: Sequence[str]) -> tuple[str, ...]:
    """The genres to test, in the dataset's order; None chooses all."""
    if genres is None:
        return tuple(choices)
    cure = f"choose from {', '.join(choices)}, as in {example(choices[:2])}, or null for all"
    if isinstance(genres, str) or not isinstance(genres, Sequence) or not genres:
        raise InputError(f"dataset.genres={genres!r}: a list that is not empty is needed; {cure}")
    listed = [str(genre) for genre in genres]
    for genre in listed:
        if genre not in choices:
            raise InputError(f"dataset.genres: unknown genre {genre!r}; {cure}")
        if listed.count(genre) > 1:
            raise InputError(f"dataset.genres: {genre} is listed twice; {cure}")
    return tuple(genre for genre in choices if genre in listed)


def checked_share(share: object) -> float:
    """`share`, a part of the training data, as a number from 0 to below 1."""
    number = isinstance(share, int | float) and not isinstance(share, bool)
    if not number or not 0 <= share < 1:  # type: ignore[operator]
        raise InputError(
            f"dataset.validation_share={share!r}: give a number from 0 to below 1, such as 0.1"
        )
    return float(share)  # type: ignore[arg-type]


def chosen(key: str, value: object, choices: Sequence[str]) -> str:
    """`value` when it is one of `choices`."""
    if value not in choices:
        raise InputError(f"dataset.{key}={value}: choose one of {', '.join(choices)}")
    return str(value)


def example(genres: Sequence[str]) -> str:
    """An override that chooses `genres`, quoted for a shell."""
    return f"'dataset.genres=[{','.join(genres)}]'"
