"""Blind files: entities without text, and their score where there is gold."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import chmed_ner
from chmed_ner.cli import main
from chmed_ner.cli.score import score_files
from chmed_ner.errors import InputError
from chmed_ner.score import score_table

SCRIPT = Path(__file__).parents[2] / "experiments" / "blind" / "blind.py"
GOLD = Path(chmed_ner.__file__).parent / "data" / "sample" / "test_WA.txt"


@pytest.fixture(scope="module")
def blind() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("blind", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_a_run_labels_scores_as_the_run_does(blind: Any, tmp_path: Path) -> None:
    words = ["run", "method=lexicon", "tracking=dry", f"paths.output={tmp_path / 'out'}"]
    assert main([*words, "dataset.genres=[WA]"]) == 0
    (run,) = (tmp_path / "out" / "runs").glob("*/run.json")
    characters = "".join(f"{line[:1]}\n" for line in GOLD.read_text(encoding="utf-8").splitlines())
    (tmp_path / "text.txt").write_text(characters, encoding="utf-8")
    blind.label(str(run.parent), tmp_path / "text.txt", tmp_path / "blind.tsv")
    written = (tmp_path / "blind.tsv").read_text(encoding="utf-8")
    assert written.isascii()  # no text
    submitted = score_files([("all", GOLD, run.parent / "submission" / "WA.txt")])
    found = blind.read_entities(tmp_path / "blind.tsv")
    assert blind.score(GOLD, found) == score_table(submitted)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("sentence\tstart\n", "the header is"),
        ("1\t0\t2\tDISE\textra\n", "line 2: no entity"),
        ("1\tx\t2\tDISE\n", "line 2: no entity"),
        ("1\t0\t2000\tDISE\n", "sentence 1: "),
        ("1\t0\t2\tDISE\n1\t1\t3\tBODY\n", "overlaps"),
        ("999\t0\t2\tDISE\n", "none of number 999"),
    ],
)
def test_entities_of_another_text_are_refused(
    blind: Any, lines: str, says: str, tmp_path: Path
) -> None:
    header = "" if lines.startswith("sentence") else f"{blind.HEADER}\n"
    (tmp_path / "blind.tsv").write_text(header + lines, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        blind.score(GOLD, blind.read_entities(tmp_path / "blind.tsv"))
