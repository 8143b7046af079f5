"""The runs of a store that can stand on a leaderboard, and why the others cannot."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from chmed_ner.track import TrackedRun
from chmed_ner.track.identity import neutral_keys

GENRE = re.compile(r"test/([^/]+)/f1")
VARIANT = "dataset.without_last_sentence"
"""The setting of a dataset that changes its test sentences, not its files."""


@dataclass(frozen=True)
class ScoredRun:
    """A run with test scores, and the files it was tuned and tested on (SHA-256 by name)."""

    run: TrackedRun
    training_files: Mapping[str, str]
    test_files: Mapping[str, str]
    backbone_sha256: str = ""

    @property
    def partial(self) -> bool:
        """Whether it saw only a part of its training, validation or test sentences."""
        return self.run.tags.get("partial") == "true"

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
        """What determines its figures, the seed aside: params, weights, data."""
        params = self.run.params
        neutral = {*neutral_keys(params), "experiment"}
        kept = {
            key: value
            for key, value in params.items()
            if key not in neutral and key.rpartition(".")[2] != "seed"
        }
        digest = ",".join(sorted({*self.training_files.values(), *self.test_files.values()}))
        return {**kept, "weights": self.backbone_sha256[:8], "data": digest}


@dataclass
class Sorted:
    """The scored runs, and how many others there are, by reason."""

    runs: list[ScoredRun] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def sort_out(
    runs: Iterable[TrackedRun], artifact: Callable[[TrackedRun, str], str | None]
) -> Sorted:
    """The finished runs with test scores; `artifact` gives the text of a run's file."""
    found = Sorted()
    for run in runs:
        if run.status != "FINISHED":
            found.left_out[run.status] += 1
        elif "test/f1" not in run.metrics:
            found.left_out["without test scores"] += 1
        elif (record := _record(artifact(run, "run.json"))) is None:
            found.left_out["without their run.json"] += 1
        else:
            found.runs.append(
                ScoredRun(
                    run,
                    dict(record.get("training_files") or {}),
                    dict(record.get("test_files") or {}),
                    str(record.get("backbone_sha256") or ""),
                )
            )
    return found


def _record(text: str | None) -> dict[str, Mapping[str, str]] | None:
    if text is None:
        return None
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) and record.get("test_files") else None


@dataclass(frozen=True)
class Looks:
    """How often a test file was scored: settings tuned on data, all settings, systems from files.

    A setting is a config hash: another seed or another restoration policy is another look.
    """

    file: str
    sha256: str
    tuned: int
    all: int
    files: int


def looks(runs: Iterable[ScoredRun]) -> list[Looks]:
    """The looks at each test file, by name; limited and repeated runs count as well."""
    tuned: dict[tuple[str, str], set[str]] = {}
    every: dict[tuple[str, str], set[str]] = {}
    brought: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        identity = run.run.tags.get("config_hash") or run.run.run_id
        for place in run.test_files.items():
            every.setdefault(place, set()).add(identity)
            if run.tuned:
                tuned.setdefault(place, set()).add(identity)
            if run.run.tags.get("method") == "file":
                brought.setdefault(place, set()).add(identity)
    return [
        Looks(*place, *(len(found.get(place, ())) for found in (tuned, every, brought)))
        for place in sorted(every)
    ]
