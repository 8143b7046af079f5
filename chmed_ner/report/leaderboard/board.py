"""Rows of a leaderboard: runs that differ in nothing but their seed are one row."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from chmed_ner.errors import InputError
from chmed_ner.report.leaderboard.scored import VARIANT, ScoredRun
from chmed_ner.report.leaderboard.seeds import Summary, summary

GROUPS = ("backbone", "method", "regime", "prompt", "dataset")
"""The default grouping."""
TAGS = (*GROUPS, "decoding", "restoration", "script", "preset", "sweep", "experiment")
"""What can be grouped by."""
_PARTS = ("backbone", "method", "regime", "prompt", "decoding", "restoration", "script")
_UNSAID = ("none", "generative")
_MOST = 4

_Tested = tuple[str, str, tuple[str, ...], tuple[tuple[str, str], ...]]
_Setting = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Row:
    """One setting: what it is grouped by, how it differs from its group, its runs by seed."""

    group: Mapping[str, str]
    differs: Mapping[str, str]
    runs: tuple[ScoredRun, ...]

    @property
    def name(self) -> str:
        """The group's values that say something, then what tells it from others of the group."""
        said = [v for k, v in self.group.items() if k != "dataset" and v not in _UNSAID]
        listed = [f"{key}={value}" for key, value in self.differs.items()]
        more = [f"and {len(listed) - _MOST} more"] if len(listed) > _MOST else []
        method = self.runs[0].run.tags.get("method", "")
        told = " / ".join(said) or method or self.runs[0].run.name
        return f"{told} ({', '.join([*listed[:_MOST], *more])})" if listed else told

    @property
    def partial(self) -> bool:
        """Whether a run of it saw only a part of its data."""
        return any(run.partial for run in self.runs)

    @property
    def trained_on_test(self) -> bool:
        """Whether a run of it was tuned on a file it was tested on."""
        return any(run.trained_on_test for run in self.runs)

    @property
    def seeds(self) -> list[str]:
        """The seed of each run."""
        return [run.seed for run in self.runs]

    def figure(self, metric: str) -> Summary | None:
        """A metric over the seeds; None unless every run has it."""
        found = [run.run.metrics.get(metric) for run in self.runs]
        known = [value for value in found if value is not None]
        return summary(known) if len(known) == len(found) else None

    def interval(self) -> tuple[float, float] | None:
        """The 95% interval over sentences; of several seeds the mean of their ends."""
        low, high = self.figure("test/f1_low"), self.figure("test/f1_high")
        return None if low is None or high is None else (low.mean, high.mean)


@dataclass(frozen=True)
class Board:
    """The rows that were tested on the same sentences, the best first."""

    dataset: str
    variant: str
    genres: tuple[str, ...]
    test_files: Mapping[str, str]
    rows: tuple[Row, ...]

    @property
    def limited(self) -> bool:
        """Whether only a sample of the test sentences was asked."""
        return "limit.test=" in self.variant

    @property
    def title(self) -> str:
        """Dataset, what was left out of it, and genres."""
        variant = f", {self.variant}" if self.variant else ""
        return f"{self.dataset}{variant} ({', '.join(self.genres)})"

    def without_partial(self) -> "Board":
        """The board without its partial rows."""
        return replace(self, rows=tuple(row for row in self.rows if not row.partial))


def check_groups(by: Sequence[str]) -> None:
    """InputError for a group that runs are not tagged with."""
    for group in by:
        if group not in TAGS:
            raise InputError(f"--by {group}: runs cannot be grouped by it; use {', '.join(TAGS)}")


def boards(
    runs: Iterable[ScoredRun], by: Sequence[str] = GROUPS
) -> tuple[list[Board], Counter[str]]:
    """The boards, by dataset, and how many runs were left out, by reason.

    Of runs with one setting and one seed the newest counts.
    """
    tested: dict[_Tested, dict[_Setting, dict[str, ScoredRun]]] = {}
    superseded = 0
    for run in runs:
        variant = f"{VARIANT}=True" if run.run.params.get(VARIANT) == "True" else ""
        limit = run.run.params.get("limit.test", "None")
        sampled = "" if limit == "None" else f"limit.test={limit} of seed {run.seed}"
        variant = ", ".join(filter(None, (variant, sampled)))
        files = tuple(sorted(run.test_files.items()))
        board = (run.run.tags.get("dataset", ""), variant, run.genres, files)
        chosen = {tag: run.run.tags.get(tag, "none") for tag in _PARTS}
        own = {**run.setting(), **chosen, **dict(zip(by, _values(run, by), strict=True))}
        setting = tuple(sorted(own.items()))
        seeds = tested.setdefault(board, {}).setdefault(setting, {})
        superseded += run.seed in seeds
        seeds[run.seed] = run  # the runs come oldest first
    left_out = Counter({"superseded by a newer run of the same setting and seed": superseded})
    found = [
        Board(dataset, variant, genres, dict(files), _rows(settings.values(), by))
        for (dataset, variant, genres, files), settings in tested.items()
    ]
    return sorted(_told_apart(found), key=lambda board: board.title), +left_out


def _told_apart(found: Sequence[Board]) -> Iterator[Board]:
    """Boards of one title were tested on different files: their checksums are named."""
    titles = [board.title for board in found]
    for board in found:
        if titles.count(board.title) > 1:
            digests = " ".join(digest[:8] for digest in sorted(board.test_files.values()))
            yield replace(board, variant=", ".join(filter(None, (board.variant, digests))))
        else:
            yield board


def _rows(settings: Iterable[Mapping[str, ScoredRun]], by: Sequence[str]) -> tuple[Row, ...]:
    groups: dict[tuple[str, ...], list[tuple[ScoredRun, ...]]] = {}
    for seeds in settings:
        runs = tuple(sorted(seeds.values(), key=lambda run: (len(run.seed), run.seed)))
        groups.setdefault(_values(runs[0], by), []).append(runs)
    rows = [
        Row(dict(zip(by, values, strict=True)), differs, runs)
        for values, members in groups.items()
        for differs, runs in zip(_differences(members, by), members, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: (-_f1(row), row.name)))


def _f1(row: Row) -> float:
    return fmean(run.run.metrics["test/f1"] for run in row.runs)


def _values(run: ScoredRun, by: Sequence[str]) -> tuple[str, ...]:
    tags = {**run.run.tags, "experiment": run.run.experiment}
    return tuple(tags.get(group, "none") for group in by)


def _differences(members: Sequence[Sequence[ScoredRun]], by: Sequence[str]) -> list[dict[str, str]]:
    """What tells the settings of one group apart; a choice of an option stands for its keys."""
    settings = [_described(runs[0], by) for runs in members]
    keys = dict.fromkeys(key for setting in settings for key in setting)
    telling = [key for key in keys if len({setting.get(key) for setting in settings}) > 1]
    options = {key for key in telling if "." not in key}
    kept = [key for key in telling if key in options or key.split(".")[0] not in options]
    return [{key: _short(key, setting.get(key, "unset")) for key in kept} for setting in settings]


def _described(run: ScoredRun, by: Sequence[str]) -> dict[str, str]:
    options = {tag: run.run.tags.get(tag, "none") for tag in _PARTS if tag not in by}
    return {**options, **run.setting()}


def _short(key: str, value: str) -> str:
    """A value that fits on one line of a table; data by the beginning of their checksums."""
    if key == "data":
        return "+".join(part[:8] for part in value.split(","))
    line = " ".join(value.split())
    return line if len(line) <= 24 else f"{line[:23]}…"
