"""What the user typed becomes a configuration: Hydra composes it, or says what is wrong."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from chmed_ner.errors import InputError
from chmed_ner.files import (
    cache_directory,
    config_directory,
    data_directory,
    output_directory,
    read_text,
    sweep_directory,
)
from chmed_ner.knobs import OWN_CONFIG
from chmed_ner.report import check_language
from chmed_ner.run.cells import runs_directory
from chmed_ner.run.misnamed import missing_extra, no_such_key, unknown_key
from chmed_ner.run.overrides import cells_of, check_overrides, spelled_out
from chmed_ner.run.schema import RootSchema


def register_config() -> None:
    """Make the root schema and our resolvers known to Hydra; may be called again."""
    ConfigStore.instance().store(name="root_schema", node=RootSchema)
    resolvers: dict[str, Callable[..., str]] = {
        "data_directory": lambda: str(data_directory()),
        "output_directory": lambda: str(output_directory()),
        "cache_directory": lambda: str(cache_directory()),
        "sweep_directory": lambda: str(sweep_directory()),
        "own_config_directory": lambda: str(own_config_directory()),
        "runs_directory": runs_directory,
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def reader_language() -> str:
    """The language where nothing else was asked for: CHMED_NER_LANGUAGE, else what conf/ says."""
    return check_language(readers_own()["language"])


def readers_own() -> dict[str, Any]:
    """The root keys that the reader of a run chooses, by what the environment or conf/ says."""
    config: Any = OmegaConf.load(config_directory() / "config.yaml")
    return {key: config[key] for key in ("language", "figures")}


def compose(overrides: Sequence[str]) -> DictConfig:
    """The configuration with Hydra's `overrides`; InputError with Hydra's message."""
    register_config()
    check_overrides(overrides)
    try:
        return _composed(spelled_out(overrides))
    except UnicodeDecodeError:
        check_encodings([config_directory(), sweep_directory(), own_config_directory()])
        raise
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise InputError(hydra_message(error, overrides)) from None


def _composed(words: Sequence[str], *, whole: bool = False) -> DictConfig:
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return hydra_compose("config", overrides=list(words), return_hydra_config=whole)


def own_config_directory() -> Path:
    """The user's own Hydra groups; the named grids again without any."""
    return OWN_CONFIG.get() or sweep_directory()


def check_encodings(folders: Iterable[Path]) -> None:
    """InputError for the first YAML file in these folders that is not UTF-8: Hydra names none."""
    for folder in folders:
        for path in sorted(folder.rglob("*.yaml")):
            read_text(path)


def hydra_message(error: BaseException, overrides: Sequence[str] = ()) -> str:
    """Hydra's message with the reason below it, on one or a few lines; for a key that is not there
    the nearest ones, by the other `overrides`; for a launcher that is not there its extra."""
    said = str(error)
    key = unknown_key(said)
    if key is not None and not key.startswith("hydra"):
        return no_such_key(key, *_choice_without(key, overrides))
    cause = error.__cause__
    reason = f"\n{cause}" if cause and str(cause) not in said else ""
    return missing_extra(said) or re.sub(r"\nTo append to your .*", "", f"{said}{reason}").strip()


def _choice_without(key: str, overrides: Sequence[str]) -> tuple[str, list[str]]:
    """The choice, `regime=lora`, whose configuration lacks `key`, and the keys that it has."""
    root, dot, _ = key.partition(".")
    for words in cells_of(spelled_out(overrides), key):
        config = _composed(words, whole=True)
        keys = _keys(OmegaConf.to_container(config, resolve=False), "")
        known = [each for each in keys if not each.startswith("hydra.")]
        chosen = config.hydra.runtime.choices.get(root)
        if key not in known:
            break
    return (f"{root}={chosen}" if dot and chosen else ""), known


def _keys(node: Any, prefix: str) -> list[str]:
    """The dotted keys of a configuration."""
    if not isinstance(node, Mapping) or not node:
        return [prefix]
    inner = (_keys(value, f"{prefix}.{key}".lstrip(".")) for key, value in node.items())
    return [each for keys in inner for each in keys if not each.endswith("_target_")]
