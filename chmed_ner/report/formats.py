"""What a figure is written as."""

from collections.abc import Mapping, Sequence

from chmed_ner.errors import InputError

FORMATS: Mapping[str, Mapping[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
"""The formats, each with what keeps the date and the program's name out of the file."""


def check_formats(given: Sequence[str]) -> tuple[str, ...]:
    """`given` as they are; InputError for a format that is not there."""
    for name in given:
        if name not in FORMATS:
            raise InputError(f"figures: no format {name!r}; choose of {', '.join(FORMATS)}")
    return tuple(given)
