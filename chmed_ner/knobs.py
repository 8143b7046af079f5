"""Do the knobs of a configuration node fit the constructor it names? Asked before it is called."""

import inspect
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, get_args

from chmed_ner.errors import InputError

UNCHECKED = (Any, object, inspect.Parameter.empty)
PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def check_knobs(constructor: Callable[..., Any], knobs: Mapping[str, Any], key: str) -> None:
    """Raise InputError for a knob that `constructor` lacks or needs, or of another type.

    Types are checked where the parameter is annotated with plain ones, and for null and plain
    values where an object is needed.
    """
    signature = inspect.signature(constructor)
    try:
        signature.bind(**knobs)
    except TypeError as error:
        allowed = ", ".join(signature.parameters)
        name = f"{constructor.__module__}.{constructor.__qualname__}"
        raise InputError(f"{key}: {error}; {name} takes: {allowed or 'nothing'}") from None
    for name, value in knobs.items():
        parameter = signature.parameters.get(name)
        wanted = _wanted(parameter.annotation, value) if parameter else None
        if wanted:
            shown = "null" if value is None else value
            raise InputError(f"{key}.{name}={shown}: {wanted} is needed")


def _wanted(annotation: Any, value: Any) -> str | None:
    """What is needed instead of `value`; None where it fits, or nothing can be said."""
    types = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    if any(not isinstance(type_, type) or type_ in UNCHECKED for type_ in types):
        return None
    if value is None:
        fits = NoneType in types
    elif type(value) in PLAIN:
        fits = type(value) in types or (type(value) is int and float in types)
    else:
        fits = any(type_ not in PLAIN and type_ is not NoneType for type_ in types)
    if fits:
        return None
    words = [PLAIN[type_] for type_ in types if type_ in PLAIN]
    null = ["null"] if NoneType in types else []
    return " or ".join([*words, *null]) if words else "a node with _target_"
