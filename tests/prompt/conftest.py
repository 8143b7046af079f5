"""The corpora's sentences and the label scheme that the formats' tests share."""

from pathlib import Path

import pytest
import yaml

from chmed_ner.data.columns import read_columns
from chmed_ner.data.healthner import read_healthner
from chmed_ner.entities.labels import LabelScheme, Simplified, in_script, label_scheme
from chmed_ner.entities.types import Sentence
from chmed_ner.files import config_directory


@pytest.fixture(scope="session")
def labels() -> LabelScheme:
    """The shipped scheme of ten types."""
    path = Path(config_directory()) / "labels" / "health10.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return label_scheme(content["name"], content["types"])


@pytest.fixture(scope="session")
def gold(corpora_dir: Path, labels: LabelScheme) -> tuple[Sentence, ...]:
    """Every sentence with gold of the corpora that are present, in the simplified script."""
    found: list[Sentence] = []
    for path in sorted(corpora_dir.glob("rocling202?/*_truth*.txt")):
        options = {"prefix": f"{path.stem}/", "split": "test", "genre": "G", "labels": labels}
        found += read_columns(path, **options)
    for path in sorted(corpora_dir.glob("healthner/*.json")):
        options = {"prefix": f"{path.stem}/", "split": "test", "genres": ("FT", "SM")}
        found += read_healthner(path, **options, labels=labels)
    assert len(found) > 10_000
    return in_script(Simplified(), tuple(found))


@pytest.fixture(scope="session")
def rocling2022(gold: tuple[Sentence, ...]) -> tuple[Sentence, ...]:
    """The sentences of ROCLING-2022."""
    found = tuple(s for s in gold if s.id.startswith("ROCLING22"))
    assert len(found) == 3_205
    return found
