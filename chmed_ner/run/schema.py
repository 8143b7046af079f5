"""The root keys of a configuration and their types; what is in a group, its constructor checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import MISSING

from chmed_ner.errors import InputError


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
    language: str = MISSING
    figures: list[str] = MISSING
    validate: bool = MISSING
    limit: LimitSchema = field(default_factory=LimitSchema)
    paths: PathsSchema = field(default_factory=PathsSchema)
    dataset: Any = MISSING
    script: Any = None
    gazetteer: Any = None
    prompt: Any = None
    backbone: Any = None
    regime: Any = None
    decoding: Any = None
    restoration: Any = None
    method: Any = MISSING
    tracking: Any = MISSING


def check_keys(content: Mapping[str, Any]) -> None:
    """InputError for a root, `limit` or `paths` key that was added (`+key=`) or deleted."""
    for prefix, schema in (("", RootSchema), ("limit", LimitSchema), ("paths", PathsSchema)):
        given = content[prefix] if prefix else content
        known = [each.name for each in fields(schema)]
        for key in [*given, *known]:
            if key not in known or key not in given:
                what = "is not a key" if key not in known else "is missing"
                name = f"{prefix}.{key}" if prefix else key
                raise InputError(f"{name}: {what}; the keys are {', '.join(known)}")
