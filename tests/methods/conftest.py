"""Runs of the methods on the shipped sample, in this process and without MLflow."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.cli import main

CRF = (
    "method=crf", "method.c1=[0.1]", "method.c2=[0.1]", "method.iterations=[3,25]",
    "method.folds=3", "limit.train=220",
)  # fmt: skip
"""A CRF that is fitted in a second or two."""


@dataclass(frozen=True)
class Ran:
    """How a command ended, and the directory of its run where there is one."""

    code: int
    said: str
    directory: Path

    def rows(self, split: str = "test") -> list[dict[str, Any]]:
        """The predictions of a split."""
        lines = (self.directory / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        return [row for row in map(json.loads, lines) if row["split"] == split]

    def metrics(self) -> dict[str, float]:
        """Its metrics.json."""
        content: dict[str, float] = json.loads((self.directory / "metrics.json").read_text())
        return content

    def record(self) -> dict[str, Any]:
        """Its run.json."""
        content: dict[str, Any] = json.loads((self.directory / "run.json").read_text("utf-8"))
        return content


Run = Callable[..., Ran]


def ran(output: Path, *words: str) -> tuple[int, Path]:
    """`chmed-ner run` into `output` in this process; the exit code and the new run's directory."""
    before = set(output.glob("runs/*/run.json"))
    handlers = list(logging.root.handlers)
    try:
        code = main(["run", "tracking=dry", f"paths.output={output}", *words])
    except SystemExit as stop:
        code = int(stop.code or 0)
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()
    new = sorted(set(output.glob("runs/*/run.json")) - before)
    return code, new[-1].parent if new else output


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`chmed-ner run` with the words given."""

    def call(*words: str) -> Ran:
        capsys.readouterr()
        code, directory = ran(tmp_path / "outputs", *words)
        return Ran(code, "".join(capsys.readouterr()), directory)

    return call


def once(factory: pytest.TempPathFactory, *words: str) -> Ran:
    """A run that several tests look at."""
    code, directory = ran(factory.mktemp("shared"), *words)
    assert code == 0
    return Ran(code, "", directory)


@pytest.fixture(scope="session")
def lexicon_run(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A finished lexicon run."""
    return once(tmp_path_factory, "method=lexicon")


@pytest.fixture(scope="session")
def crf_run(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A finished CRF run."""
    return once(tmp_path_factory, *CRF)


@pytest.fixture(scope="session")
def vote_run(lexicon_run: Ran, crf_run: Ran, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A finished ensemble of the lexicon and the CRF."""
    runs = f"method.runs=[{lexicon_run.directory},{crf_run.directory}]"
    return once(tmp_path_factory, "method=ensemble", runs)


@pytest.fixture(scope="session")
def crf_words() -> tuple[str, ...]:
    """The settings of `crf_run`."""
    return CRF


@pytest.fixture(scope="session")
def scripted_run(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A finished run of the scripted backbone, without validation predictions."""
    return once(tmp_path_factory, "backbone=scripted", "regime=zero_shot")


@pytest.fixture(scope="session")
def validated_run(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A finished run of the scripted backbone, with validation predictions."""
    return once(tmp_path_factory, "backbone=scripted", "regime=zero_shot", "validate=true")
