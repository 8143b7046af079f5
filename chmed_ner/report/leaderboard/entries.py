"""What can be on a leaderboard: the scored runs of a store, and rows that others have published."""

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chmed_ner.track import RUN_FILE, TrackedRun, flattened, neutral_keys, shaped

if TYPE_CHECKING:
    from pandas import DataFrame

from collections.abc import Sequence
from dataclasses import field, replace
from pathlib import Path
from statistics import fmean

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from chmed_ner.errors import InputError
from chmed_ner.files import sweep_directory

log = logging.getLogger(__name__)

LOOK_COLUMNS = ("file", "sha256", "setting", "tuned", "all", "files")
GENRE = re.compile(r"test/([^/]+)/f1")

Artifact = Callable[[TrackedRun, str], str | None]
"""The text of a run's file, by its name; None where there is none."""


@dataclass(frozen=True)
class ScoredRun:
    """A run with test scores, the files it was tuned and tested on (SHA-256 by name), and its
    configuration."""

    run: TrackedRun
    training_files: Mapping[str, str]
    test_files: Mapping[str, str]
    backbone_sha256: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    def tag(self, name: str) -> str:
        """A tag of the run, `none` without; its experiment is one too."""
        return {**self.run.tags, "experiment": self.run.experiment}.get(name, "none")

    @property
    def partial(self) -> bool:
        """Whether it saw only a part of its training, validation or test sentences."""
        return self.tag("partial") == "true"

    @property
    def seed(self) -> str:
        """Its seed, as tagged."""
        return self.run.tags.get("seed", "")

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres it was scored on, by name."""
        return tuple(sorted(m[1] for name in self.run.metrics if (m := GENRE.fullmatch(name))))

    @property
    def tuned(self) -> bool:
        """Whether something of it was learnt or chosen on data."""
        return bool(self.training_files)

    @property
    def trained_on_test(self) -> bool:
        """Whether a file it was tuned on is one that it was tested on."""
        return bool(set(self.training_files.values()) & set(self.test_files.values()))

    def setting(self) -> dict[str, str]:
        """What determines its figures, the seed aside: settings, weights, data."""
        settings = flattened(self.config)
        neutral = {*neutral_keys(settings), "experiment"}
        kept = {
            key: value
            for key, value in settings.items()
            if key not in neutral and key.rpartition(".")[2] != "seed"
        }
        digest = ",".join(sorted({*self.training_files.values(), *self.test_files.values()}))
        return {**kept, "weights": self.backbone_sha256[:8], "data": digest}


def scored_runs(
    runs: Iterable[TrackedRun], artifact: Artifact
) -> tuple[list[ScoredRun], Counter[str]]:
    """The finished runs with test scores, and how many others there are, by reason."""
    found: list[ScoredRun] = []
    left_out = Counter[str]()
    for run in runs:
        if run.status != "FINISHED":
            left_out[run.status] += 1
        elif "test/f1" not in run.metrics:
            left_out["without test scores"] += 1
        elif not (text := artifact(run, RUN_FILE)):
            left_out["without their run.json"] += 1
        else:
            place = f"{RUN_FILE} of run {run.run_id} in MLflow"
            try:
                files = shaped(_Files, json_object(text), place)
            except InputError as error:
                log.warning("left out: %s", error)
                left_out["with a broken run.json"] += 1
                continue
            if files.test_files:
                found.append(ScoredRun(run, **vars(files)))
            else:
                left_out["without test files"] += 1
    return found, left_out


@dataclass(frozen=True)
class _Files:
    """What `run.json` says of a run's files, SHA-256 by name, and of its settings."""

    config: Mapping[str, Any]
    test_files: Mapping[str, str]
    training_files: Mapping[str, str] = field(default_factory=dict)
    backbone_sha256: str = ""


def json_object(text: str | None) -> dict[str, Any]:
    """The object that a JSON text holds, empty where it holds none."""
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def looks(runs: Iterable[ScoredRun]) -> "DataFrame":
    """How often each test file was scored, by name: `file`, `sha256` and counts of settings (config
    hashes): `tuned` on data, `all`, and `files`, whose predictions came from files."""
    from pandas import DataFrame

    seen = [
        {
            "file": file,
            "sha256": sha256,
            "setting": run.run.tags.get("config_hash") or run.run.run_id,
            "tuned": run.tuned,
            "all": True,
            "files": run.tag("method") == "file",
        }
        for run in runs
        for file, sha256 in run.test_files.items()
    ]
    once = DataFrame(seen, columns=LOOK_COLUMNS).groupby(["file", "sha256", "setting"]).any()
    return once.groupby(["file", "sha256"]).sum().reset_index()


COMPARABLE = ("fully", "partly", "not")


@dataclass(frozen=True)
class PublishedRow:
    """A published F1 in percent, over all genres (`computed`: by us, their mean) and by genre."""

    system: str
    source: str
    f1: float
    comparable: str
    remark: str = ""
    genres: Mapping[str, float] = field(default_factory=dict)
    computed: bool = False

    def with_remark(self, remark: str, **changes: Any) -> "PublishedRow":
        """The row with something to be known before all else, and other changes."""
        return replace(self, remark="; ".join(filter(None, (remark, self.remark))), **changes)


Published = Mapping[str, tuple[tuple[str, ...], Sequence[PublishedRow]]]
"""dataset -> the genres it is tested on, and its rows."""


def published_rows(path: Path | None = None) -> Published:
    """The rows of a file; InputError, naming the row, for a file of another shape."""
    path = path or sweep_directory() / "published.yaml"
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(path))
        return {
            str(dataset): (
                tuple(entry["genres"]),
                [_row(f"{path}, {dataset}", row) for row in entry["rows"]],
            )
            for dataset, entry in content.items()
        }
    except (OSError, OmegaConfBaseException, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the published rows ({error}); restore the file") from None


def _row(place: str, entry: Mapping[str, Any]) -> PublishedRow:
    try:
        row = PublishedRow(**entry)
    except TypeError as error:
        raise InputError(f"{place}, {entry!r}: {error}") from None
    if row.comparable not in COMPARABLE:
        raise InputError(
            f"{place}, {row.system}: comparable is {row.comparable!r}; allowed: "
            f"{', '.join(COMPARABLE)}"
        )
    return row


def rows_for(
    found: Published, dataset: str, genres: Sequence[str], *, limited: bool = False
) -> list[PublishedRow]:
    """The rows for a board of `dataset`, scored on `genres`.

    Where those are only some of the dataset's, a row's F1 is our mean of its genres, if it has
    them; else it cannot be compared, nor can any row with a `limited` board.
    """
    every, rows = found.get(dataset, ((), ()))
    if rows and set(genres) != set(every):
        rows = [_of_genres(row, every, genres) for row in rows]
    if limited:
        return [row.with_remark("over the whole test set", comparable="not") for row in rows]
    return list(rows)


def _of_genres(row: PublishedRow, every: Sequence[str], genres: Sequence[str]) -> PublishedRow:
    kept = {genre: f1 for genre, f1 in row.genres.items() if genre in genres}
    if set(kept) == set(genres):
        return replace(row, f1=fmean(kept.values()), genres=kept, computed=True)
    return row.with_remark(f"F1 over {', '.join(every)}", comparable="not", genres=kept)
