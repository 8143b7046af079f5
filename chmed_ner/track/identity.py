"""What makes two runs the same: settings, data, backbone and our version."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError
from chmed_ner.knobs import NO_RESULT, marked, named
from chmed_ner.track.provenance import version
from chmed_ner.track.record import RunRecord
from chmed_ner.track.secrets import flattened

NOT_PART = ("paths", "tracking", "resume", "rerun", "hydra", "name")
"""The root keys that change no result. Of the groups, knobs marked so are left out as well."""


def config_hash(content: Mapping[str, Any], files: Mapping[str, str], backbone: str) -> str:
    """SHA-256 over what determines a run's results; `files` and `backbone` are checksums."""
    kept = _hashed(content)
    identity = {"config": kept, "files": dict(files), "backbone": backbone, "version": version()}
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_same(
    directory: Path,
    record: RunRecord,
    config: Mapping[str, Any],
    identity: str,
    key: str = "resume",
) -> None:
    """InputError when the run in `directory` has another identity than the one that takes it up.

    `key` names, in the error, what the user set.
    """
    if record.config_hash != identity:
        raise InputError(
            f"{key}={directory}: that run has another configuration, data or code version "
            f"({_difference(record.config, config)}); repeat its settings, or start a new run"
        )


def neutral_keys(params: Mapping[str, str]) -> set[str]:
    """Of a run's flat settings (`backbone.timeout`), those that change no result."""
    neutral = {key for key in params if key.split(".")[0] in NOT_PART}
    for key, target in params.items():
        node, _, name = key.rpartition(".")
        if name == "_target_" and node.split(".")[0] not in NOT_PART:
            with suppress(InputError):  # a class that another version had
                neutral |= {f"{node}.{knob}" for knob in marked(named(target, node), NO_RESULT)}
    return neutral


def _hashed(content: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    """`content` without what changes no result."""
    left_out = frozenset(() if key else NOT_PART)
    if "_target_" in content:
        left_out = marked(named(content["_target_"], key), NO_RESULT)
    return {
        name: _hashed(value, f"{key}.{name}".strip(".")) if isinstance(value, Mapping) else value
        for name, value in content.items()
        if name not in left_out
    }


def _difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first setting in which a stored run and this one differ."""
    before, after = flattened(_hashed(then)), flattened(_hashed(now))
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            return f"{key} was {before.get(key)}, is {after.get(key)}"
    return "the files or the version differ"
