"""The names of runs, which become part of their folders' names."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from chmed_ner.errors import InputError, printable, without_secrets
from chmed_ner.run.experiment import Method

LONGEST_NAME = 200
"""Bytes; file systems take 255, of which the time and the hash need some."""

UNSAFE = re.compile(r"[^\w.+@-]+")
"""What a shell or Hydra would want quoted in `resume=<directory>`."""


def cell_name(
    name: str, overrides: Sequence[str], varied: Collection[str], named: Collection[str]
) -> str:
    """`name` with the varied settings of a cell: `sample-...-s13-order-text_order`.

    `overrides` are Hydra's `key=value` of the cell, `varied` the keys that the sweep varies,
    `named` those that are in the name already.
    """
    pairs = [override.lstrip("+").partition("=") for override in overrides]
    added = [(key, value) for key, _, value in pairs if key in varied and key not in named]
    last = [key.rpartition(".")[2] for key, _ in added]
    parts = [
        UNSAFE.sub("_", f"{short if last.count(short) == 1 else key}-{value}")
        for (key, value), short in zip(added, last, strict=True)
    ]
    whole = str(without_secrets("-".join([name, *parts])))
    return os.fsencode(whole)[:LONGEST_NAME].decode(errors="ignore")


def checked_name(name: str) -> str:
    """`name` without secrets; InputError where it cannot be part of a folder's name."""
    name = str(without_secrets(name))
    if not re.fullmatch(r"[^/\\\x00-\x1f\x7f-\x9f]+", name) or _too_long(name):
        raise InputError(
            f"name={printable(name[:60])}: becomes part of a folder's name; give up to "
            f"{LONGEST_NAME} bytes without /, \\ and control characters"
        )
    return name


def _too_long(name: str) -> bool:
    return len(os.fsencode(name)) > LONGEST_NAME


def default_name(
    method: Method, content: Mapping[str, Any], choices: Mapping[str, str | None]
) -> str:
    """dataset-backbone-prompt-regime-sSEED, dataset-crf-sSEED: the options that name a run."""
    groups = ("dataset", *method.named_by)
    parts = [str(choices.get(group)).replace("/", "_") for group in groups]
    return "-".join([*parts, f"s{content['seed']}"])
