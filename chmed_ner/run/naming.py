"""The folder of all runs, and the names of runs: by default, and of the cells of a sweep."""

import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from chmed_ner.errors import InputError
from chmed_ner.run.experiment import Method

LONGEST_NAME = 200
"""Bytes; file systems take 255, of which the time and the hash need some."""

UNSAFE = re.compile(r"[^\w.+@-]+")
"""What a shell or Hydra would want quoted in `resume=<directory>`."""


def runs_directory(*, _root_: DictConfig) -> str:
    """The directory of all runs, `<output>/runs`: a Hydra resolver.

    An unwritable place ends the program with exit code 2: an exception would become OmegaConf's.
    """
    directory = Path(str(_root_.paths.output)) / "runs"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        writable = os.access(directory, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        print(
            f"error: paths.output={directory.parent}: cannot be written; choose another folder",
            file=sys.stderr,
        )
        raise SystemExit(InputError.exit_code)
    return str(directory.absolute())


def cell_name(
    name: str, overrides: Sequence[str], varied: Collection[str], named: Collection[str]
) -> str:
    """`name` with the varied settings that it does not tell: `sample-...-s13-order-text_order`.

    `overrides` are Hydra's `key=value` of one cell, `varied` the keys that the sweep varies,
    `named` those that are in the name already.
    """
    pairs = [override.lstrip("+").partition("=") for override in overrides]
    told = [(key, value) for key, _, value in pairs if key in varied and key not in named]
    last = [key.rpartition(".")[2] for key, _ in told]
    parts = [
        UNSAFE.sub("_", f"{short if last.count(short) == 1 else key}-{value}")
        for (key, value), short in zip(told, last, strict=True)
    ]
    return os.fsencode("-".join([name, *parts]))[:LONGEST_NAME].decode(errors="ignore")


def checked_name(name: str) -> str:
    """`name`, which becomes a part of the name of the run's directory."""
    if not re.fullmatch(r"[^/\\\0\n]+", name) or len(os.fsencode(name)) > LONGEST_NAME:
        raise InputError(
            f"name={name[:60]}: becomes part of a folder's name; give up to {LONGEST_NAME} bytes "
            "without / and \\"
        )
    return name


def default_name(
    method: Method, content: Mapping[str, Any], choices: Mapping[str, str | None]
) -> str:
    """dataset-backbone-prompt-regime-sSEED, dataset-crf-sSEED: the options the method goes by."""
    groups = ("dataset", *method.named_by)
    parts = [str(choices.get(group)).replace("/", "_") for group in groups]
    return "-".join([*parts, f"s{content['seed']}"])
