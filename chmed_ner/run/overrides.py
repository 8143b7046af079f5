"""Overrides as they are typed: what Hydra cannot read, or would misread, and how to quote it."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep
from hydra.errors import HydraException

from chmed_ner.errors import InputError, first_line, printable
from chmed_ner.run.misnamed import PLACES
from chmed_ner.run.schema import PathsSchema

TEXTS = ("name", "experiment", "resume", *(f"paths.{each.name}" for each in fields(PathsSchema)))
"""Root keys that hold text; the constructors check the keys of groups."""
_BARE = re.compile(r"[^\s,:{}\[\]\"']*[^\x00-\x7f][^\s,{}\[\]\"']*")
"""A word that Hydra reads only in quotes, as part of a list or a mapping too."""


def spelled_out(words: Iterable[str]) -> list[str]:
    """The overrides with `labels=auto` as Hydra reads it."""
    short = rf"^({'|'.join(PLACES)})="
    return [re.sub(short, lambda found: f"{PLACES[found[1]]}=", word) for word in words]


def in_each_cell(words: Sequence[str]) -> list[str]:
    """The overrides, such that the keys of a group that is swept are looked for in each of its
    options: Hydra would look for them in the default one."""
    swept = {key for key, options in _choices(words).items() if len(options) > 1}
    return [_of_cell(word, swept) for word in words]


def _of_cell(word: str, swept: set[str]) -> str:
    """An override of a key in one of the groups `swept`, as a sweep over its one value."""
    key, _, given = word.partition("=")
    root = key.lstrip("+").partition(".")[0]
    own = root in swept or (swept & {"method", "preset"} and root != "hydra")
    if "." not in key or "@" in key or not given or not own:
        return word
    parsed = OverridesParser.create().parse_override(word)
    return word if parsed.is_sweep_override() else f"{key}=choice({given})"


def _choices(words: Iterable[str]) -> dict[str, list[str]]:
    """The options that overrides choose, several where one is swept, by group."""
    chosen = {}
    for word in words:
        parsed = OverridesParser.create().parse_override(word)
        key = parsed.key_or_group
        if "." in key or key.startswith("hydra") or parsed.is_delete():
            continue
        value = parsed.value()
        values = value.list if isinstance(value, ChoiceSweep) else [value]
        if parsed.is_sweep_override() and not isinstance(value, ChoiceSweep):
            continue
        place = f"@{parsed.package}" if parsed.package else ""
        chosen[f"{key}{place}"] = ["null" if each is None else str(each) for each in values]
    return chosen


def cells_of(words: Iterable[str], key: str) -> list[list[str]]:
    """The choices of groups among overrides other than `key`; for each option of the group of
    `key`, where it is swept."""
    chosen = _choices(words)
    chosen.pop(key, None)
    root = key.partition(".")[0]
    return [
        [*(f"{each}={options[0]}" for each, options in chosen.items() if each != root), *own]
        for own in ([f"{root}={option}"] for option in chosen.get(root, []))
    ] or [[f"{each}={options[0]}" for each, options in chosen.items()]]


def check_overrides(words: Iterable[str]) -> None:
    """InputError, with the quoting that helps, for a word that Hydra cannot read, or whose text it
    would read as a number."""
    for word in words:
        if printable(word) != word:
            raise InputError(f"{word}: holds control characters; leave them out")
        key, _, given = word.partition("=")
        try:
            parsed = OverridesParser.create().parse_override(word)
        except HydraException as error:
            raise InputError(f"{word}: {_cure(key, given) or first_line(error)}") from None
        value = parsed.value()
        elements = value.list if isinstance(value, ChoiceSweep) else [value]
        for element, text in zip(elements, given.split(","), strict=False):
            if parsed.key_or_group in TEXTS and _is_number(element) and str(element) != text:
                quoted = shlex.quote(f'{key}="{text}"')
                raise InputError(f"{word}: {text} would be read as {element}; quote it: {quoted}")


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float)


def _cure(key: str, given: str) -> str:
    """How to write an override that cannot be read; empty where quotes do not help."""
    if not key.isascii() or re.search(r"[{,][^:,}]*[^\x00-\x7f][^:,}]*:", given):
        return (
            "Hydra reads keys of ASCII letters only; put others into a YAML file of your own "
            "(conf/, or --config-dir FOLDER)"
        )
    escaped = given.replace("\\", "\\\\").replace('"', '\\"')
    nested = given.startswith(("[", "{"))
    for quoted in (_BARE.sub(r'"\g<0>"', given), *([] if nested else [f'"{escaped}"'])):
        try:
            OverridesParser.create().parse_override(f"{key}={quoted}")
        except HydraException:
            continue
        return f"Hydra reads this text only in quotes: {shlex.quote(f'{key}={quoted}')}"
    return "quote each text in the list or mapping that is not plain ASCII" if nested else ""
