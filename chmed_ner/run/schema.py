"""The root keys of a configuration and their types; constructors check what is in a group."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class LimitSchema:
    """The `limit` keys."""

    train: int | None = MISSING
    validation: int | None = MISSING
    test: int | None = MISSING


@dataclass
class PathsSchema:
    """The `paths` keys."""

    data: str = MISSING
    output: str = MISSING
    cache: str = MISSING


@dataclass
class RootSchema:
    """The root keys."""

    seed: int = MISSING
    name: str | None = MISSING
    experiment: str = MISSING
    resume: str | None = MISSING
    rerun: bool = MISSING
    validate: bool = MISSING
    limit: LimitSchema = field(default_factory=LimitSchema)
    paths: PathsSchema = field(default_factory=PathsSchema)
    dataset: Any = MISSING
    script: Any = None
    prompt: Any = None
    backbone: Any = None
    regime: Any = None
    decoding: Any = None
    restoration: Any = None
    method: Any = MISSING
    tracking: Any = MISSING
