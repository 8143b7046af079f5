"""What makes two runs the same: settings, data, backbone and our version."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError
from chmed_ner.track.provenance import version
from chmed_ner.track.record import RunRecord
from chmed_ner.track.secrets import flattened

UNHASHED = (
    "paths", "tracking", "resume", "rerun", "hydra", "name", "backbone.cache",
    "backbone.api_key_env", "backbone.api_key_required", "backbone.concurrency",
    "backbone.timeout", "backbone.attempts", "backbone.pause", "backbone.longest_pause",
    "backbone.budget_usd", "backbone.estimate_only", "regime.checkpoint_minutes",
)  # fmt: skip
"""What does not change a result."""
LATER: Mapping[str, Any] = {
    "dataset.split_seed": None, "dataset.repair_conflicts": 0, "dataset.replace_entities": 0,
    "prompt.hints": {"_target_": "chmed_ner.prompt.hints.no_hints"},
    "regime.average_decay": None, "regime.candidate_softmax": False,
    "regime.keep": "best",
}  # fmt: skip
"""Settings that came after runs had been recorded, each with the value that changes nothing; at
that value they are no part of the identity, so those runs keep theirs."""


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


def _hashed(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`content` without the keys of UNHASHED, and those of LATER at their value."""
    kept = {key: value for key, value in content.items() if not _idle(f"{prefix}{key}", value)}
    return {
        key: _hashed(value, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in kept.items()
    }


def _idle(key: str, value: Any) -> bool:
    """Whether a setting, by its full key, does not change a result."""
    return key in UNHASHED or (key in LATER and value == LATER[key])


def _difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first setting in which a stored run and this one differ."""
    before, after = flattened(_hashed(then)), flattened(_hashed(now))
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            return f"{key} was {before.get(key)}, is {after.get(key)}"
    return "the files or the version differ"
