"""What MLflow's users look for in a run: options as parameters, data, the command, a note."""

import json
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chmed_ner.files import markdown_table, text_sha256
from chmed_ner.track.record import RunRecord, flattened

OPTIONS = (
    "backbone", "prompt", "dataset", "regime", "method", "decoding", "restoration", "script",
    "gazetteer",
)  # fmt: skip
"""The groups whose options are parameters, before the settings inside them."""
LEFT_OUT = ("resume", "dataset.labels.types")
"""Settings that are no parameters: too many to read, and all in run.json."""
NOTE = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
LONGEST_DIGEST = 36
FIGURES = ("precision", "recall", "f1")
GENRE = re.compile(r"test/([^/]+)/f1")


@dataclass(frozen=True)
class DataInput:
    """A split that a run read: its files' SHA-256 by name, and how many sentences it took."""

    name: str
    split: str
    files: Mapping[str, str]
    sentences: int | None

    @property
    def digest(self) -> str:
        """The beginning of the SHA-256 over the files' and the number of sentences."""
        content = {"files": dict(self.files), "sentences": self.sentences}
        return text_sha256(json.dumps(content, sort_keys=True))[:LONGEST_DIGEST]


@dataclass(frozen=True)
class Description:
    """What a run is tracked under; `key` is unique. `sweep`: as in the run's record."""

    experiment: str
    name: str
    key: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    data: tuple[DataInput, ...] = ()
    sweep: Mapping[str, str] = field(default_factory=dict)


def description(record: RunRecord, tags: Mapping[str, str]) -> Description:
    """The run of a record, with its `tags` and those that MLflow has names for."""
    return Description(
        experiment=record.experiment,
        name=record.name,
        key=record.key,
        tags={**tags, **_source(record), NOTE: note(record, {})},
        params=parameters(record),
        data=_data(record),
        sweep=record.sweep,
    )


def parameters(record: RunRecord) -> dict[str, str]:
    """The option of each group and the seed, then every setting; no class names, no label lists."""
    named = {group: record.choices.get(group, "none") for group in OPTIONS}
    left_out = tuple(f"{key}." for key in LEFT_OUT)
    settings = {
        key: value
        for key, value in flattened(record.config).items()
        if not key.endswith("_target_") and not f"{key}.".startswith(left_out)
    }
    return {**settings, **named, "seed": str(record.seed)}


def note(record: RunRecord, metrics: Mapping[str, Any]) -> str:
    """Markdown: the scores (percent; none yet without metrics), what failed, the commands."""
    parts = [_scores(metrics)] if "test/f1" in metrics else []
    parts += [f"**{record.status}**: {record.error}"] if record.error else []
    commands = [record.command, "# a cell of", record.sweep.get("command", "")]
    commands = commands if record.sweep else commands[:1]
    parts += ["```bash\n" + "\n".join(commands) + "\n```"] if record.command else []
    parts += [f"Directory: `{record.directory}`"] if record.directory else []
    return "\n\n".join(parts)


def _scores(metrics: Mapping[str, Any]) -> str:
    """The headline, and a row for each genre; the official scorer's."""
    genres = [found[1] for key in metrics if (found := GENRE.fullmatch(key))]
    rows = [["all, macro", *_row(metrics, "test")]]
    rows += [[genre, *_row(metrics, f"test/{genre}")] for genre in genres]
    return markdown_table(("test", "P", "R", "F1", "95% interval"), rows, "lrrrl").rstrip()


def _row(metrics: Mapping[str, Any], name: str) -> list[str]:
    figures = [f"{metrics.get(f'{name}/{figure}', math.nan):.2f}" for figure in FIGURES]
    ends = [metrics.get(f"{name}/f1_{end}") for end in ("low", "high")]
    return [*figures, "" if None in ends else f"{ends[0]:.2f} to {ends[1]:.2f}"]


def _source(record: RunRecord) -> dict[str, str]:
    """The program and its commit, as MLflow's page shows them."""
    program = " ".join(shlex.split(record.command)[:2]) or "chmed-ner"
    tags = {"mlflow.source.name": program, "mlflow.source.type": "LOCAL"}
    commit, dirty, _ = record.git_commit.partition("-dirty")
    if commit:
        tags |= {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(bool(dirty))}
    return tags


def _data(record: RunRecord) -> tuple[DataInput, ...]:
    """What was learnt or chosen on (validation is carved from it), and what was tested on."""
    name = record.choices.get("dataset", "data")
    splits = {"train": record.training_files, "test": record.test_files}
    return tuple(
        DataInput(name, split, files, record.sentences.get(split))
        for split, files in splits.items()
        if files
    )
