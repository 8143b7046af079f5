"""What the record of a finished run says, maybe a stranger's, and what a rescoring changes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from chmed_ner.backbone import Backbone
from chmed_ner.data import Corpus
from chmed_ner.errors import InputError, first_line
from chmed_ner.files import cache_directory
from chmed_ner.run.composing import compose, readers_own
from chmed_ner.run.config import GROUPS, REQUIRED, plain_config
from chmed_ner.run.overrides import check_overrides
from chmed_ner.run.schema import RootSchema
from chmed_ner.track import RUN_FILE, RunRecord, check_store

CHANGEABLE = ("restoration", "prompt.answer", "tracking", "language", "figures")
"""What a rescoring may change."""


def check_unchanged(directory: Path, record: RunRecord, corpus: Corpus) -> None:
    """InputError where a test file is another than when the run in `directory` was made."""
    for name in {**record.test_files, **corpus.test_files}:
        then, now = record.test_files.get(name, "none"), corpus.test_files.get(name, "none")
        if then != now:
            raise InputError(
                f"{name}: has changed since the run in {directory} (SHA-256 {now[:12]}, was "
                f"{then[:12]}); bring the old file back, or start a new run"
            )


def check_backbone(backbone: Backbone, record: RunRecord, directory: Path) -> None:
    """InputError when the backbone cannot be loaded, or is not the one the run was made with."""
    backbone.check()
    if backbone.checksum() != record.backbone_sha256:
        raise InputError(
            f"{directory}: the backbone {record.backbone} has changed since the run "
            f"(checksum {backbone.checksum()[:12]}, was {record.backbone_sha256[:12]}); "
            "bring the weights back that it was made with"
        )


def recorded_config(directory: Path, record: RunRecord) -> dict[str, Any]:
    """The configuration of the finished run in `directory`, which may be a stranger's.

    The language and the figures are the reader's, and so is a cache that is not there. InputError:
    another key or type than a run records, or an interpolation, which would read the environment.
    """
    path = directory / RUN_FILE
    if "${" in json.dumps(record.config):
        raise InputError(f"{path}: config holds ${{...}}, but a run records values; restore it")
    known = record.config
    lacking = [key for key in GROUPS if key not in known]
    if lacking := lacking or [key for key in REQUIRED if not isinstance(known[key], Mapping)]:
        raise InputError(f"{path}: its configuration lacks {lacking[0]!r}; restore the file")
    try:
        content = plain_config(DictConfig(OmegaConf.merge(RootSchema, known, readers_own())))
    except (OmegaConfBaseException, InputError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: config: {first_line(error)}; restore the file") from None
    for node in (content["paths"], content["backbone"]):
        if isinstance(node, dict) and node.get("cache"):
            given = Path(str(node["cache"]))
            node["cache"] = str(given if given.is_dir() else cache_directory())
    return content


def check_tracking(
    run: Path, config: Mapping[str, Any], overrides: Sequence[str], *, own: Path, trust: bool
) -> None:
    """InputError where the record of `run`, neither an override nor the user's output directory
    `own`, says where a rescoring is tracked."""
    given, tracking = {each.partition("=")[0] for each in overrides}, config["tracking"]
    uri, store = tracking.get("uri"), tracking.get("store")
    if uri is not None and not given & {"tracking", "tracking.uri"}:
        check_store(run, str(uri), trust=trust, own=own)
    elif uri is None and store is not None and "tracking.store" not in given:
        check_store(run, f"sqlite:///{Path(str(store)).absolute()}/mlflow.db", trust=trust, own=own)


def changed_config(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A run's configuration for a rescoring; InputError for an override of what may not change."""
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
            check_overrides([override])
            OmegaConf.update(merged, key, OverridesParser.create().parse_override(override).value())
        else:  # unresolved, so that it follows the run's own paths
            value = compose([override])[key]
            plain = OmegaConf.is_config(value)
            merged[key] = OmegaConf.to_container(value, resolve=False) if plain else value
    return plain_config(merged)


def changed_choices(record: RunRecord, overrides: Sequence[str]) -> dict[str, str]:
    """The options that a run chose, and those among the overrides."""
    pairs = (override.partition("=") for override in overrides)
    return record.choices | {key: value for key, _, value in pairs if "." not in key}
