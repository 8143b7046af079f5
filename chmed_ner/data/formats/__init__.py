"""Readers of annotated files, one module a format; what is recognised in a file is said in notes."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chmed_ner.data.formats import (
    brat,
    columns,
    doccano,
    label_studio,
    pipes,
    span_dict,
    span_json,
)
from chmed_ner.data.formats.annotations import Annotations, Format, Options
from chmed_ner.errors import InputError
from chmed_ner.knobs import check_knobs

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "columns": columns.FORMAT,
        "span_json": span_json.FORMAT,
        "pipes": pipes.FORMAT,
        "span_dict": span_dict.FORMAT,
        "doccano": doccano.FORMAT,
        "label_studio": label_studio.FORMAT,
        "brat": brat.FORMAT,
    }
)
"""The readers by the name that `dataset.format` gives them."""


def read_annotated(
    path: Path, format: str, options: Mapping[str, Any] = MappingProxyType({})
) -> Annotations:
    """The texts of a file (of brat: of a folder) with their entities, types as they are written.

    `options` are fields of `Options`. InputError: an unknown format, an option that the format has
    not, a file that is missing, broken or holds no text; it names file, line, value and cure.
    """
    chosen = FORMATS.get(format)
    if chosen is None:
        raise InputError(f"dataset.format={format}: give one of {', '.join(FORMATS)}")
    check_knobs(Options, options, "dataset")
    for name, value in options.items():
        if value is not None and name not in chosen.options:
            raise InputError(
                f"dataset.{name}={value}: format {format} has no such option; it takes "
                f"{', '.join(chosen.options)}"
            )
    found = chosen.read(path, Options(**options))
    if not found.texts:
        raise InputError(f"{path}: holds no annotated text; is this the right file, and complete?")
    return found
