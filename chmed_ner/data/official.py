"""The official corpora of the NYCU NLP Lab, at their places under the data root.

| corpus | file | genres |
|---|---|---|
| HealthNER (Lee and Lu 2021) | `healthner/{train,test}.json` or `train.zip` | FT, SM |
| ROCLING-2022 (Lee et al. 2022) | `rocling2022/ROCLING22_CHNER_truth.txt` | WA |
| ROCLING-2023 (Lee et al. 2023) | `rocling2023/MultiNER-Health_truth_{FT,SM,WA}.txt` | FT, SM, WA |
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chmed_ner.data.dataset import Dataset, chosen, example
from chmed_ner.data.healthner import GENRES as HEALTHNER_GENRES
from chmed_ner.data.preparation import Preparation
from chmed_ner.data.sources import ColumnSource, HealthNERSource, ShortenedSource, Source
from chmed_ner.errors import InputError

PARTS = ("train", "test")
PROTOCOLS = ("paper", "shared_task")
_PLACE = "or point paths.data (CHMED_NER_DATA) at the folder that holds it"


def healthner_file(root: Path, part: str) -> str:
    """The path of a HealthNER part relative to the data root, the zip file where only that is."""
    plain = f"healthner/{part}.json"
    packed = f"healthner/{part}.zip"
    return packed if (root / packed).is_file() and not (root / plain).is_file() else plain


def healthner(root: Path, part: str, genres: Sequence[str], cure: str) -> HealthNERSource:
    """One part of HealthNER."""
    name = healthner_file(root, part)
    return HealthNERSource(name, root / name, f"healthner/{part}/", tuple(genres), cure)


def training_part(root: Path, part: str, otherwise: str) -> HealthNERSource:
    """The HealthNER part that `dataset.healthner_part` names; `otherwise` ends the cure."""
    cure = (
        f"dataset.healthner_part={part} trains on it: fetch it with `chmed-ner data fetch "
        f"healthner`, {_PLACE}{otherwise}"
    )
    return healthner(root, part, HEALTHNER_GENRES, cure)


def rocling2022(root: Path, cure: str, kind: type[ColumnSource] = ColumnSource) -> ColumnSource:
    """The gold file of ROCLING-2022, read as `kind` reads it."""
    name = "rocling2022/ROCLING22_CHNER_truth.txt"
    return kind(name, root / name, "rocling2022/WA/", "WA", cure)


def _other_part(part: str) -> str:
    other = "test" if part == "train" else "train"
    return f", or train on the other part: dataset.healthner_part={other}"


class HealthNER(Dataset):
    """HealthNER: trains on its 28,161 sentences, tests on the 2,531 of `test.json`."""

    def __init__(
        self,
        *,
        labels: Mapping[str, Any],
        genres: Sequence[str] | None = None,
        healthner_part: str = "train",
        validation_share: float = 0.1,
        empty_share: float = 1.0,
        repair_conflicts: float = 0.0,
        replace_entities: float = 0.0,
        split_seed: int | None = None,
    ) -> None:
        super().__init__(
            name="healthner",
            labels=labels,
            choices=HEALTHNER_GENRES,
            genres=genres,
            validation_share=validation_share,
            preparation=Preparation(empty_share, repair_conflicts, replace_entities),
            split_seed=split_seed,
        )
        if chosen("healthner_part", healthner_part, PARTS) == "test":
            raise InputError(
                "dataset.healthner_part=test: dataset=healthner tests on that part, so it cannot "
                "train on it; use dataset.healthner_part=train"
            )

    def test_sources(self, root: Path) -> tuple[Source, ...]:
        """The 2,531-sentence part."""
        cure = f"fetch it with `chmed-ner data fetch healthner`, {_PLACE}"
        return (healthner(root, "test", self.genres, cure),)

    def training_sources(self, root: Path) -> tuple[Source, ...]:
        """The 28,161-sentence part."""
        return (training_part(root, "train", ""),)


class ROCLING2022(Dataset):
    """ROCLING-2022: trains on a part of HealthNER, tests on 3,205 Wikipedia sentences.

    `without_last_sentence` leaves out the last one, which the paper lost: its Table 2 counts 3,204.
    """

    def __init__(
        self,
        *,
        labels: Mapping[str, Any],
        genres: Sequence[str] | None = None,
        healthner_part: str = "train",
        validation_share: float = 0.1,
        empty_share: float = 1.0,
        repair_conflicts: float = 0.0,
        replace_entities: float = 0.0,
        split_seed: int | None = None,
        without_last_sentence: bool = False,
    ) -> None:
        super().__init__(
            name="rocling2022",
            labels=labels,
            choices=("WA",),
            genres=genres,
            validation_share=validation_share,
            preparation=Preparation(empty_share, repair_conflicts, replace_entities),
            split_seed=split_seed,
        )
        self.healthner_part = chosen("healthner_part", healthner_part, PARTS)
        if not isinstance(without_last_sentence, bool):
            raise InputError(
                f"dataset.without_last_sentence={without_last_sentence!r}: give true or false"
            )
        self.kind = ShortenedSource if without_last_sentence else ColumnSource

    def test_sources(self, root: Path) -> tuple[Source, ...]:
        """The gold file."""
        cure = f"fetch it with `chmed-ner data fetch rocling2022`, {_PLACE}"
        return (rocling2022(root, cure, self.kind),)

    def training_sources(self, root: Path) -> tuple[Source, ...]:
        """The HealthNER part."""
        return (training_part(root, self.healthner_part, _other_part(self.healthner_part)),)


class ROCLING2023(Dataset):
    """ROCLING-2023: tests on three genres.

    `protocol=paper` trains on a part of HealthNER; `shared_task` adds the ROCLING-2022 sentences,
    which is what the organisers handed out.
    """

    def __init__(
        self,
        *,
        labels: Mapping[str, Any],
        genres: Sequence[str] | None = None,
        protocol: str = "paper",
        healthner_part: str = "train",
        validation_share: float = 0.1,
        empty_share: float = 1.0,
        repair_conflicts: float = 0.0,
        replace_entities: float = 0.0,
        split_seed: int | None = None,
    ) -> None:
        super().__init__(
            name="rocling2023",
            labels=labels,
            choices=("FT", "SM", "WA"),
            genres=genres,
            validation_share=validation_share,
            preparation=Preparation(empty_share, repair_conflicts, replace_entities),
            split_seed=split_seed,
        )
        self.protocol = chosen("protocol", protocol, PROTOCOLS)
        self.healthner_part = chosen("healthner_part", healthner_part, PARTS)

    def test_sources(self, root: Path) -> tuple[Source, ...]:
        """One gold file a genre."""
        names = {genre: f"rocling2023/MultiNER-Health_truth_{genre}.txt" for genre in self.genres}
        there = [genre for genre, name in names.items() if (root / name).is_file()]
        leave_out = f", or leave the genre out: {example(there)}" if there else ""
        cure = (
            "dataset.genres (all, unless it is set) asks for it: fetch it with `chmed-ner data "
            f"fetch rocling2023`, {_PLACE}{leave_out}"
        )
        return tuple(
            ColumnSource(name, root / name, f"rocling2023/{genre}/", genre, cure)
            for genre, name in names.items()
        )

    def training_sources(self, root: Path) -> tuple[Source, ...]:
        """The HealthNER part, under `shared_task` the ROCLING-2022 sentences too."""
        part = training_part(root, self.healthner_part, _other_part(self.healthner_part))
        if self.protocol == "paper":
            return (part,)
        cure = (
            "dataset.protocol=shared_task trains on it: fetch it with `chmed-ner data fetch "
            f"rocling2022`, {_PLACE}, or use dataset.protocol=paper"
        )
        return (part, rocling2022(root, cure))
