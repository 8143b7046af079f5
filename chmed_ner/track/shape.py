"""Whether JSON that somebody may have edited has the shape of a dataclass of ours."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from chmed_ner.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Shaped = TypeVar("Shaped", bound=DataclassInstance)
else:
    Shaped = TypeVar("Shaped")

DEEPEST = 32
"""Levels of a value; a configuration of ours has six."""


def shaped(kind: type[Shaped], content: Any, place: str) -> Shaped:
    """`content` as a `kind`; keys that it does not know are left out.

    InputError, which begins with `place` and names the key: no object, a key is missing, not of its
    type, or nested too deeply.
    """
    if not isinstance(content, dict):
        raise InputError(f"{place}: holds no JSON object; restore it, or move it away")
    known, hints = {each.name: each for each in fields(kind)}, _hints(kind)
    for name, field in known.items():
        if name not in content:
            if field.default is MISSING and field.default_factory is MISSING:
                raise InputError(f"{place}: lacks {name}; restore it, or move it away")
        elif _is_deeper(content[name], DEEPEST):
            raise InputError(f"{place}: {name} is nested too deeply; restore it, or move it away")
        elif not _fits(content[name], hints[name]):
            shown = json.dumps(content[name])[:60]
            raise InputError(f"{place}: {name} cannot be {shown}; restore it, or move it away")
    return kind(**{name: value for name, value in content.items() if name in known})


_hints = functools.cache(get_type_hints)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value of JSON is of a type: plain, a union, or a mapping or list of such."""
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if kind is Any:
        return True
    if origin is UnionType:
        return any(_fits(value, each) for each in inner)
    if issubclass(origin, Mapping):
        return isinstance(value, dict) and all(_fits(each, inner[1]) for each in value.values())
    if issubclass(origin, Sequence) and origin is not str:
        return isinstance(value, list) and all(_fits(each, inner[0]) for each in value)
    if kind is float and type(value) is int:
        return abs(value) < 2**53
    return type(value) is kind


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(levels == 0 or _is_deeper(each, levels - 1) for each in inner)
