"""A configuration as it may be recorded: flat, and without secrets."""

import re
from collections.abc import Mapping
from typing import Any

SECRET = re.compile(r"(?i)(key|token|secret|password|credential)$")
CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


def without_credentials(value: Any) -> Any:
    """`value` with `user:password@` taken out of every address in it."""
    if isinstance(value, str):
        return CREDENTIALS.sub("", value)
    if isinstance(value, Mapping):
        return {key: without_credentials(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_credentials(each) for each in value]
    return value


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """`{"backbone.batch_size": "32", ...}`; values whose key names a secret are left out."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{name}.")
        elif not SECRET.search(str(key)):
            flat[name] = str(value)[:5000]
    return flat
