"""Readers of annotated files; README.md says what each takes."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chmed_ner.data.formats import brat, columns, label_studio, pipes, span_json
from chmed_ner.data.formats.annotations import Annotations, Format, Options
from chmed_ner.errors import InputError
from chmed_ner.knobs import check_knobs

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "columns": columns.FORMAT,
        "span_json": span_json.SPAN_JSON,
        "pipes": pipes.FORMAT,
        "span_dict": span_json.SPAN_DICT,
        "doccano": span_json.DOCCANO,
        "label_studio": label_studio.FORMAT,
        "brat": brat.FORMAT,
    }
)
"""The readers by name."""


def read_annotated(path: Path, format: str, options: Mapping[str, Any]) -> Annotations:
    """The texts of a file (brat: a folder) with their entities; types are as written there.

    `options` are fields of `Options`. InputError: one that the format does not take; a file that is
    missing, broken or without text.
    """
    if format not in FORMATS:
        raise InputError(f"format {format}: there is none; give one of {', '.join(FORMATS)}")
    check_knobs(Options, options, "dataset.options")
    reader = FORMATS[format]
    for name in options:
        if options[name] is not None and name not in (*reader.options, "gold"):
            raise InputError(
                f"dataset.options.{name}={options[name]}: format {format} does not take it, but "
                + ", ".join(reader.options)
            )
    found = reader.read(path, Options(**options))
    if not found.texts:
        raise InputError(f"{path}: holds no annotated text; is this the right file, and complete?")
    return found
