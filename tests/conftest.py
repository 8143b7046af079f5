"""Fixtures that more than one room's tests use."""

import os
from pathlib import Path

import pytest


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set")
    folder = Path(value)
    assert folder.is_dir(), f"{variable}={value} is not a folder"
    return folder


@pytest.fixture(scope="session")
def corpora_dir() -> Path:
    """The folder of the real corpora; tests that need them are skipped without it."""
    return _folder("CHMED_NER_DATA")


@pytest.fixture(scope="session")
def fixtures_dir() -> Path:
    """The folder of reference results made by other people's code."""
    return _folder("CHMED_NER_FIXTURES")
