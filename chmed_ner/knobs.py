"""The knobs of a configuration: which a constructor takes, of which type, in which range.

A knob is a field of a frozen dataclass with type and range (`epochs: Count`); YAML has its default.
"""

import functools
import importlib
import inspect
import math
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from chmed_ner.errors import InputError

FACE = re.compile(r"chmed_ner\.([a-z]+|prompt\.formats)")
"""The modules whose classes a `_target_` may name."""
OWN_CONFIG: ContextVar[Path | None] = ContextVar("OWN_CONFIG", default=None)
"""The folder of the user's own Hydra groups (`--config-dir`)."""
TRUSTED: ContextVar[tuple[str, ...]] = ContextVar("TRUSTED", default=())
"""How targets outside chmed_ner begin that the user trusts (`--allow-target my_package.`). Nothing
that is read, no configuration and no record of a run, can set it."""
PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class Range:
    """The values a knob may have; `words` name them in an error: `give 1 or more`."""

    words: str
    holds: Callable[[Any], bool]


NO_RESULT = "changes no result"
"""Marks a knob that is no part of a run's identity: a time-out, a budget."""
NAMES_RUN = "names a run"
"""Marks a knob that names a finished run, or a list of them."""

Positive = Annotated[float, Range("more than 0", lambda value: 0 < value < math.inf)]
NotNegative = Annotated[float, Range("0 or more", lambda value: 0 <= value < math.inf)]
Share = Annotated[float, Range("0 or more, below 1", lambda value: 0 <= value < 1)]
Portion = Annotated[float, Range("a number from 0 to 1", lambda value: 0 <= value <= 1)]
Count = Annotated[int, Range("1 or more", lambda value: value >= 1)]


def are_texts(values: Any, least: int = 1) -> bool:
    """Is this a list of `least` or more texts?"""
    listed = isinstance(values, list | tuple) and len(values) >= least
    return listed and all(isinstance(each, str) and each for each in values)


TEXTS = Range("a list of texts, [] for none", lambda value: are_texts(value, least=0))
MAPPING = Range("a mapping, {} for none", lambda value: isinstance(value, Mapping))
LAYERS = Range(
    "all-linear, or a list of layer names", lambda value: value == "all-linear" or are_texts(value)
)


def one_of(*names: str) -> Range:
    """One of `names`."""
    return Range(f"one of {', '.join(names)}", lambda value: value in names)


def at_least(least: int) -> Range:
    """`least` or more."""
    return Range(f"{least} or more", lambda value: value >= least)


def named(target: object, key: str) -> type:
    """The class that a `_target_` names by the face of its room; InputError for anything else.

    A target may be a stranger's: no other module than a face, or one that is TRUSTED, is imported.
    """
    own = isinstance(target, str) and target.startswith("chmed_ner.")
    if not isinstance(target, str) or not (own or target.startswith(TRUSTED.get())):
        raise InputError(
            f"{key}._target_={target}: only targets inside chmed_ner are built; code of your own "
            "that you trust needs --allow-target my_package. on the command line"
        )
    face, _, name = target.rpartition(".")
    problem, cure = "there is no such class", "name one by its room, as in chmed_ner.backbone.Gguf"
    if not own:
        cure = "install its package, or set PYTHONPATH to its folder, if the name is right"
    found: object = None
    try:
        if FACE.fullmatch(face) or not own:
            found = getattr(importlib.import_module(face), name)
    except (ImportError, AttributeError) as error:
        problem = problem if own else str(error)
    if not isinstance(found, type):
        raise InputError(f"{key}._target_={target}: {problem}; {cure}")
    return found


def check_knobs(constructor: Callable[..., Any], knobs: Mapping[str, Any], key: str) -> None:
    """Raise InputError for a knob of the node `key` that is unknown, missing, or does not fit.

    A knob fits by its plain type, null where an object is needed, and its range.
    """
    signature = inspect.signature(constructor)
    try:
        signature.bind(**knobs)
    except TypeError as error:
        allowed = ", ".join(signature.parameters)
        name = f"{constructor.__module__}.{constructor.__qualname__}"
        raise InputError(f"{key}: {error}; {name} takes: {allowed or 'nothing'}") from None
    annotations = _annotations(constructor)
    for name, value in knobs.items():
        members, markers = _parts(annotations.get(name, Any))
        shown = "null" if value is None else value
        if wanted := _wanted(members, value):
            misread = str in members and isinstance(value, bool | int | float)
            quoting = f"; quote text that looks so: '{key}.{name}=\"...\"'" if misread else ""
            raise InputError(f"{key}.{name}={shown}: {wanted} is needed{quoting}")
        for marker in markers:
            null_fits = value is None and NoneType in members
            if isinstance(marker, Range) and not null_fits and not marker.holds(value):
                null = ", or null" if NoneType in members else ""
                raise InputError(f"{key}.{name}={shown}: give {marker.words}{null}")
        check_numbers(value, f"{key}.{name}")


def check_numbers(value: Any, key: str) -> None:
    """InputError, which names `key`: a number in `value` is infinite, none, or beyond 64 bits."""
    if isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            check_numbers(each, key)
    elif isinstance(value, int | float) and not abs(value) < 2**63:
        raise InputError(f"{key}={value}: give a number between -2^63 and 2^63")


@functools.cache
def marked(constructor: Callable[..., Any], marker: str) -> frozenset[str]:
    """The knobs of `constructor` whose annotation has the marker."""
    annotations = _annotations(constructor)
    return frozenset(name for name, each in annotations.items() if marker in _parts(each)[1])


def _annotations(constructor: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a constructor's parameters, with their markers."""
    called = constructor.__init__ if isinstance(constructor, type) else constructor  # type: ignore[misc]
    try:
        return get_type_hints(called, include_extras=True)
    except NameError:  # a name that is imported for the type checker only
        parameters = inspect.signature(constructor).parameters
        return {name: each.annotation for name, each in parameters.items()}


def _parts(annotation: Any) -> tuple[list[Any], list[Any]]:
    """The members of a union, or the annotation alone; and the markers of all of them."""
    if get_origin(annotation) is Annotated:
        members, markers = _parts(annotation.__origin__)
        return members, [*annotation.__metadata__, *markers]
    if isinstance(annotation, UnionType) or get_origin(annotation) is Union:
        members, markers = zip(*map(_parts, get_args(annotation)), strict=True)
        return [*chain(*members)], [*chain(*markers)]
    return [annotation], []


def _wanted(types: list[Any], value: Any) -> str | None:
    """What is needed instead of `value`; None where it fits, or nothing can be said."""
    if any(not isinstance(each, type) or each in (Any, object) for each in types):
        return None
    if value is None:
        fits = NoneType in types
    elif type(value) in PLAIN:
        fits = type(value) in types or (type(value) is int and float in types)
    else:
        fits = any(each not in PLAIN and each is not NoneType for each in types)
    if fits:
        return None
    words = [PLAIN[each] for each in types if each in PLAIN]
    null = ["null"] if NoneType in types else []
    return " or ".join([*words, *null]) if words else "a node with _target_"
