"""The record of a run, kept however it ends (`run.json`, MLflow), and its use in a rescoring."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from chmed_ner.data import Corpus, Limit
from chmed_ner.errors import InputError, Stopped, first_line
from chmed_ner.files import cache_directory
from chmed_ner.run.config import GROUPS, compose, plain_config
from chmed_ner.run.experiment import Experiment
from chmed_ner.run.schema import RootSchema
from chmed_ner.track import (
    RUN_FILE,
    Description,
    RunRecord,
    Tracker,
    check_same_run,
    check_store,
    failure_reason,
    git_commit,
    versions,
)

CHANGEABLE = ("restoration", "prompt.answer", "tracking")
"""What a rescoring may change."""
ARTIFACTS = (
    ".hydra", "completions.jsonl", "predictions.jsonl", "submission", "metrics.json", "run.json",
    "report.html", "analysis", "assessment",
)  # fmt: skip
"""What is uploaded to MLflow."""


def open_record(experiment: Experiment, corpus: Corpus, directory: Path) -> RunRecord:
    """A new record, or that of the resumed run, which must have the same identity."""
    identity, backbone = experiment.identity(corpus), experiment.backbone_checksum
    if experiment.resume and (directory / RUN_FILE).is_file():
        record = RunRecord.read(directory)
        check_same_run(directory, record, experiment.config, identity)
        if record.versions:  # else it was refused before it began
            return record
    return new_record(
        experiment,
        identity,
        backbone=experiment.backbone.name if backbone else "none",
        backbone_sha256=backbone,
        training_files=experiment.tuned_on(corpus),
        test_files=dict(corpus.test_files),
        git_commit=git_commit(),
        versions=versions(),
    )


def new_record(experiment: Experiment, identity: str, **known: Any) -> RunRecord:
    """A record that begins now, `known` being more of its fields."""
    return RunRecord(
        name=experiment.name,
        experiment=experiment.experiment,
        config_hash=identity,
        config=experiment.config,
        seed=experiment.seed,
        choices=dict(experiment.choices),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        **known,
    )


def check_unchanged(directory: Path, record: RunRecord, corpus: Corpus) -> None:
    """InputError where a test file is another than when the run in `directory` was made."""
    for name in {**record.test_files, **corpus.test_files}:
        then, now = record.test_files.get(name, "none"), corpus.test_files.get(name, "none")
        if then != now:
            raise InputError(
                f"{name}: has changed since the run in {directory} (SHA-256 {now[:12]}, was "
                f"{then[:12]}); bring the old file back, or start a new run"
            )


@contextmanager
def tracked(
    experiment: Experiment, record: RunRecord, directory: Path, **more_tags: str
) -> Iterator[Tracker]:
    """The run's tracker; the run is marked FINISHED, FAILED or KILLED however the block ends."""
    began = time.perf_counter()
    status, tracker = "FAILED", Tracker(directory)
    record.status, record.error = "RUNNING", ""
    directory.mkdir(parents=True, exist_ok=True)
    record.write(directory)  # its key, before MLflow is asked: a crash in between loses nothing
    try:
        described = Description(
            experiment=record.experiment,
            name=record.name,
            key=record.key,
            tags={**tags(experiment, record), **more_tags},
            params={key: value for key, value in experiment.config.items() if key != "resume"},
        )
        tracker = experiment.tracking.start(described, directory, record.mlflow_run_id)
        record.mlflow_run_id, record.mlflow_tracking_uri = tracker.run_id, tracker.uri
        record.write(directory)
        yield tracker
        status = "FINISHED"
    except (KeyboardInterrupt, Stopped):
        status = "KILLED"
        raise
    except BaseException as error:
        record.error = failure_reason(error)
        raise
    finally:
        record.status = status
        record.seconds = round(record.seconds + time.perf_counter() - began, 1)
        _close(experiment, record, directory, tracker)


def _close(experiment: Experiment, record: RunRecord, directory: Path, tracker: Tracker) -> None:
    """Write the record, upload the files, end the run; as FAILED if that fails."""
    status = "FAILED"
    try:
        record.counts = {**RunRecord.read(directory).counts, **record.counts}  # noted on the way
        record.write(directory)
        tracker.artifacts(ARTIFACTS)
        if experiment.tracking.upload_adapter:
            tracker.artifacts(["adapter", "model"])
        status = record.status
    finally:
        tracker.end(status, record.error)


def tags(experiment: Experiment, record: RunRecord) -> dict[str, str]:
    """The run's tags: the option chosen in each group, and where the run comes from."""
    groups = (
        "backbone", "prompt", "dataset", "regime", "method", "decoding", "restoration", "script",
        "preset", "sweep",
    )  # fmt: skip
    return {
        **{group: experiment.choices.get(group, "none") for group in groups},
        "seed": str(experiment.seed),
        "git_commit": record.git_commit,
        "config_hash": record.config_hash,
        "partial": str(experiment.limit != Limit()).lower(),
    }


def recorded_config(directory: Path, record: RunRecord) -> dict[str, Any]:
    """The configuration of the finished run in `directory`, which may be a stranger's.

    A cache that is not there is the user's own. InputError: another key or type than a run records,
    or an interpolation, which would read the environment.
    """
    path = directory / RUN_FILE
    if "${" in json.dumps(record.config):
        raise InputError(f"{path}: config holds ${{...}}, but a run records values; restore it")
    known = record.config if isinstance(record.config, Mapping) else {}
    if lacking := [key for key in GROUPS if key not in known]:
        raise InputError(f"{path}: its configuration lacks {lacking[0]!r}; restore the file")
    try:
        content = plain_config(DictConfig(OmegaConf.merge(RootSchema, known)))
    except (OmegaConfBaseException, InputError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: config: {first_line(error)}; restore the file") from None
    for node in (content["paths"], content["backbone"]):
        if isinstance(node, dict) and node.get("cache"):
            given = Path(str(node["cache"]))
            node["cache"] = str(given if given.is_dir() else cache_directory())
    return content


def check_tracking(
    run: Path, config: Mapping[str, Any], overrides: Sequence[str], *, trust: bool
) -> None:
    """InputError where the record of `run`, not an override, says where a rescoring is tracked."""
    given, tracking = {each.partition("=")[0] for each in overrides}, config["tracking"]
    uri, store = tracking.get("uri"), tracking.get("store")
    if uri is not None and not given & {"tracking", "tracking.uri"}:
        check_store(run, str(uri), trust=trust)
    elif uri is None and store is not None and "tracking.store" not in given:
        check_store(run, f"sqlite:///{store}/mlflow.db", trust=trust)


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
            OmegaConf.update(merged, key, _value(override))
        else:  # unresolved, so that it follows the run's own paths
            merged[key] = OmegaConf.to_container(compose([override])[key], resolve=False)
    return plain_config(merged)


def changed_choices(record: RunRecord, overrides: Sequence[str]) -> dict[str, str]:
    """The options that a run chose, and those among the overrides."""
    pairs = (override.partition("=") for override in overrides)
    return record.choices | {key: value for key, _, value in pairs if "." not in key}


def _value(override: str) -> Any:
    try:
        return OverridesParser.create().parse_override(override).value()
    except (HydraException, ValueError) as error:
        raise InputError(f"rescore {override!r}: {error}") from None
