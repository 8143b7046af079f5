"""A changed character or tag in an official file: said, tagged, and nothing published beside it."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import SCRIPTED, Command
from tests.cli.test_tracking import runs_in

GOLD = "rocling2022/ROCLING22_CHNER_truth.txt"


@pytest.mark.parametrize("change", [None, ("B-DISE", "B-SYMP"), ("，", ",")])
def test_altered_gold_is_not_official(
    command: Command,
    corpora_dir: Path,
    empty_store: Path,
    tmp_path: Path,
    change: tuple[str, str] | None,
) -> None:
    content = (corpora_dir / GOLD).read_bytes()
    if change:
        content = content.replace(*(each.encode() for each in change), 1)
    gold = tmp_path / "data" / GOLD
    gold.parent.mkdir(parents=True)
    gold.write_bytes(content)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    places = (f"paths.data={tmp_path / 'data'}", f"paths.output={tmp_path}")
    ran = command("run", *SCRIPTED, "dataset=rocling2022", "limit.test=2", *places)
    assert ran.code == 0, ran.text
    assert (f"{gold}: not the published file" in ran.text) == bool(change)
    assert ("chmed-ner data fetch rocling2022" in ran.text) == bool(change)
    (run,) = runs_in(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert run.data.tags["altered"] == str(bool(change)).lower()
    reported = command("report", "--partial", *places)
    assert reported.code == 0, reported.text
    assert ("MIGBaseline" in reported.out) == (change is None)
    assert ("on altered gold" in reported.out) == bool(change)
