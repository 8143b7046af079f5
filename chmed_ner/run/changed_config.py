"""A finished run's configuration with what may change in a rescoring."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from chmed_ner.errors import InputError
from chmed_ner.run.config import compose, plain

CHANGEABLE = ("restoration", "prompt.answer", "tracking")


def changed_config(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration with the overrides applied; InputError for a key that may not change."""
    merged = OmegaConf.create(dict(config))
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals or not any(key == root or key.startswith(f"{root}.") for root in CHANGEABLE):
            raise InputError(
                f"rescore {override!r}: only {', '.join(CHANGEABLE)} may change, since the "
                "completions answer the run's own prompts; for anything else start a new run"
            )
        if "." in key:
            if OmegaConf.select(merged, key, default=OmegaConf) is OmegaConf:
                raise InputError(f"rescore {override!r}: the run's configuration has no key {key}")
            OmegaConf.update(merged, key, _value(override))
        else:  # unresolved, so that it follows the run's own paths
            merged[key] = OmegaConf.to_container(compose([override])[key], resolve=False)
    return plain(merged)


def changed_choices(run: Path, overrides: Sequence[str]) -> dict[str, str]:
    """The options that the run in directory `run` chose, and those among the overrides."""
    path = run / ".hydra" / "hydra.yaml"
    before = OmegaConf.load(path).hydra.runtime.choices if path.is_file() else {}
    kept = {str(key): str(value) for key, value in before.items() if value is not None}
    pairs = (override.partition("=") for override in overrides)
    return kept | {key: value for key, _, value in pairs if "." not in key}


def _value(override: str) -> Any:
    """The value that Hydra reads in `key=value`."""
    try:
        return OverridesParser.create().parse_override(override).value()
    except (HydraException, ValueError) as error:
        raise InputError(f"rescore {override!r}: {error}") from None
