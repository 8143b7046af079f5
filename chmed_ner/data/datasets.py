"""The official corpora: HealthNER, and two that train on it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from chmed_ner.data.corrections import GENRE as CORRECTED, read_corrections
from chmed_ner.data.dataset import Dataset, example
from chmed_ner.data.healthner import GENRES as HEALTHNER_GENRES, read_healthner
from chmed_ner.data.sources import Source
from chmed_ner.entities import LabelScheme, Sentence
from chmed_ner.errors import InputError
from chmed_ner.knobs import one_of


class CorrectionsSource(Source):
    """More sentences of HealthNER's training file, with a participant's labels."""

    def read(self, split: str, labels: LabelScheme) -> tuple[Sentence, ...]:
        """Its sentences that can be used; InputError: bad content, no `healthner/test.json`."""
        tested = _healthner(self.path.parents[1], "test", HEALTHNER_GENRES, "").path
        return read_corrections(
            self.path, prefix=self.prefix, split=split, labels=labels, tested=tested
        )


class HealthNERSource(Source):
    """A file of HealthNER, of which `genres` are read."""

    def read(self, split: str, labels: LabelScheme) -> tuple[Sentence, ...]:
        """Its sentences; InputError for bad content."""
        return read_healthner(
            self.path, prefix=self.prefix, split=split, genres=self.genres, labels=labels
        )


@dataclass(frozen=True, kw_only=True)
class _TrainedOnHealthNER(Dataset):
    """Trains on the part of HealthNER that `healthner_part` names, and on `healthner_extra`."""

    healthner_part: Annotated[str, one_of("train", "test")]
    healthner_extra: bool
    either: ClassVar[bool] = True
    """Whether both parts can be trained on."""

    def sources(self, root: Path, split: str) -> tuple[Source, ...]:
        """The HealthNER part to train on."""
        if split != "train":
            return ()
        part = self.healthner_part
        other = "test" if part == "train" else "train"
        cure = f"dataset.healthner_part={part} trains on it: {_fetch('healthner')}"
        if self.either:
            cure += f", or train on the other part: dataset.healthner_part={other}"
        official = _healthner(root, part, HEALTHNER_GENRES, cure)
        return (official, _corrections(root)) if self.healthner_extra else (official,)


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

    def sources(self, root: Path, split: str) -> tuple[Source, ...]:
        """To test the 2,531-sentence part."""
        if split != "test":
            return super().sources(root, split)
        return (_healthner(root, "test", self.tested, _fetch("healthner")),)


@dataclass(frozen=True, kw_only=True)
class ROCLING2022(_TrainedOnHealthNER):
    """ROCLING-2022: trains on a part of HealthNER, tests on 3,205 Wikipedia sentences.

    `without_last_sentence` leaves out the last one, which the paper lost: its Table 2 counts 3,204.
    """

    name: str = field(default="rocling2022", init=False)
    choices: ClassVar[tuple[str, ...]] = ("WA",)
    without_last_sentence: bool

    def sources(self, root: Path, split: str) -> tuple[Source, ...]:
        """To test the gold file."""
        if split != "test":
            return super().sources(root, split)
        end = -1 if self.without_last_sentence else None
        return (_rocling2022(root, _fetch("rocling2022"), end, gold=self.gold),)


@dataclass(frozen=True, kw_only=True)
class ROCLING2023(_TrainedOnHealthNER):
    """ROCLING-2023: three genres; `protocol=shared_task` trains on ROCLING-2022 as well."""

    name: str = field(default="rocling2023", init=False)
    choices: ClassVar[tuple[str, ...]] = ("FT", "SM", "WA")
    protocol: Annotated[str, one_of("paper", "shared_task")]

    def sources(self, root: Path, split: str) -> tuple[Source, ...]:
        """To test one file a genre; to train under `shared_task` the ROCLING-2022 sentences too."""
        if split == "train" and self.protocol == "shared_task":
            cure = (
                f"dataset.protocol=shared_task trains on it: {_fetch('rocling2022')}, or use "
                "dataset.protocol=paper"
            )
            return (*super().sources(root, split), _rocling2022(root, cure))
        if split != "test":
            return super().sources(root, split)
        part = _PART[self.gold]
        names = {genre: f"rocling2023/MultiNER-Health_{part}_{genre}.txt" for genre in self.tested}
        there = [genre for genre, name in names.items() if (root / name).is_file()]
        leave_out = f", or leave the genre out: {example(there)}" if there else ""
        cure = f"dataset.genres (all, unless it is set) asks for it: {_fetch('rocling2023')}"
        return tuple(
            Source(
                name,
                root / name,
                f"rocling2023/{genre}/",
                (genre,),
                cure + leave_out,
                gold=self.gold,
            )
            for genre, name in names.items()
        )


_PART = {True: "truth", False: "test"}
"""What names the file with gold, and the one without."""


def _fetch(corpus: str) -> str:
    return (
        f"fetch it with `chmed-ner data fetch {corpus}`, or point paths.data (CHMED_NER_DATA) at "
        "the folder that holds it"
    )


def _healthner(root: Path, part: str, genres: tuple[str, ...], cure: str) -> Source:
    plain, packed = f"healthner/{part}.json", f"healthner/{part}.zip"
    name = packed if (root / packed).is_file() and not (root / plain).is_file() else plain
    return HealthNERSource(name, root / name, f"healthner/{part}/", genres, cure)


def _corrections(root: Path) -> Source:
    name = "healthner_extra/corrections.json"
    cure = (
        "dataset.healthner_extra=true trains on it: bring data/train/correction_data_file.json of "
        "github.com/kevemwu/Semantic-Health-NER under that name, or leave the knob out"
    )
    return CorrectionsSource(name, root / name, "healthner/train/extra/", (CORRECTED,), cure)


def _rocling2022(root: Path, cure: str, end: int | None = None, gold: bool = True) -> Source:
    name = f"rocling2022/ROCLING22_CHNER_{_PART[gold]}.txt"
    return Source(name, root / name, "rocling2022/WA/", ("WA",), cure, end, gold)
