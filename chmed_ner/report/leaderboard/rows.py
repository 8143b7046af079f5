"""Rows of a leaderboard: runs that differ in nothing but their seed are one row."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean, stdev
from typing import TYPE_CHECKING, NamedTuple

from chmed_ner.data import altered_files
from chmed_ner.errors import InputError
from chmed_ner.report.leaderboard.entries import ScoredRun

if TYPE_CHECKING:
    from pandas import DataFrame

DEFAULT_GROUPS = ("backbone", "method", "regime", "prompt", "dataset")
"""What rows are grouped by unless something else is asked for."""
GROUPS = (
    *DEFAULT_GROUPS, "decoding", "restoration", "script", "gazetteer", "preset", "sweep",
    "experiment",
)  # fmt: skip
"""What can be grouped by."""
VARIANT = "dataset.without_last_sentence"
"""The setting of a dataset that changes its test sentences, not its files."""

_PARTS = (*DEFAULT_GROUPS[:4], "decoding", "restoration", "script", "gazetteer")
_UNSAID = ("none", "generative")
_MOST_DIFFERENCES = 4
_LONGEST_VALUE = 24

_BoardKey = tuple[str, str, tuple[str, ...], tuple[tuple[str, str], ...]]


class Figure(NamedTuple):
    """The mean of a metric over several runs, and the sample standard deviation."""

    mean: float
    deviation: float | None


@dataclass(frozen=True)
class LeaderboardRow:
    """One setting: what it is grouped by, how it differs from its group, its runs by seed."""

    group: Mapping[str, str]
    differs: Mapping[str, str]
    runs: tuple[ScoredRun, ...]

    @property
    def name(self) -> str:
        """The group's values that say something, then what tells it from others of the group."""
        said = [v for k, v in self.group.items() if k != "dataset" and v not in _UNSAID]
        name = " / ".join(said) or self.runs[0].run.tags.get("method") or self.runs[0].run.name
        listed = [f"{key}={value}" for key, value in self.differs.items()]
        if len(listed) > _MOST_DIFFERENCES:
            more = len(listed) - _MOST_DIFFERENCES
            listed = [*listed[:_MOST_DIFFERENCES], f"and {more} more"]
        return f"{name} ({', '.join(listed)})" if listed else name

    @property
    def partial(self) -> bool:
        """Whether a run of it saw only a part of its data."""
        return any(run.partial for run in self.runs)

    @property
    def trained_on_test(self) -> bool:
        """Whether a run of it was tuned on a file it was tested on."""
        return any(run.trained_on_test for run in self.runs)

    @property
    def remark(self) -> str:
        """What must be known of it; a row with a remark is never the best."""
        said = {
            "partial": self.partial,
            "tuned on this test set": self.trained_on_test,
            "on altered gold": any(altered_files(run.test_files) for run in self.runs),
        }
        return "; ".join(text for text, holds in said.items() if holds)

    @cached_property
    def chance(self) -> bool:
        """Whether its seeds scored differently in anything; else there is no chance in it. The ends
        of intervals are drawn by the seed whatever the method."""
        scores = [
            {
                name: value
                for name, value in run.run.metrics.items()
                if name.startswith("test/") and not name.endswith(("_low", "_high"))
            }
            for run in self.runs
        ]
        return any(each != scores[0] for each in scores)

    def figure(self, metric: str) -> Figure | None:
        """A metric over the seeds, without a deviation where there is no chance in it; None unless
        every run has it."""
        values = [run.run.metrics[metric] for run in self.runs if metric in run.run.metrics]
        if len(values) < len(self.runs):
            return None
        return Figure(fmean(values), stdev(values) if self.chance else None)

    def means(self, metrics: Mapping[str, str]) -> dict[str, float]:
        """The means of some metrics, by other names; those that not every run has are left out."""
        found = {name: self.figure(metric) for name, metric in metrics.items()}
        return {name: each.mean for name, each in found.items() if each is not None}


def shortened(rows: Sequence[LeaderboardRow]) -> tuple[str, list[LeaderboardRow]]:
    """What all rows have in common, and the rows named by the rest of their group."""
    if len(rows) < 2:
        return "", list(rows)
    shared = {k: v for k, v in rows[0].group.items() if all(r.group[k] == v for r in rows)}
    said = " / ".join(v for k, v in shared.items() if k != "dataset" and v not in _UNSAID)
    short = [
        replace(row, group={k: v for k, v in row.group.items() if k not in shared}) for row in rows
    ]
    if len({row.name for row in short}) < len(rows):
        return "", list(rows)
    return said, short


@dataclass(frozen=True)
class Board:
    """The rows that were tested on the same sentences, the best first."""

    dataset: str
    variant: str
    genres: tuple[str, ...]
    test_files: Mapping[str, str]
    rows: tuple[LeaderboardRow, ...]

    @property
    def limited(self) -> bool:
        """Whether only a sample of the test sentences was asked."""
        return "limit.test=" in self.variant

    @property
    def altered(self) -> bool:
        """Whether an official test file of it is not as published."""
        return bool(altered_files(self.test_files))

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
        if group not in GROUPS:
            raise InputError(f"--by {group}: runs cannot be grouped by it; use {', '.join(GROUPS)}")


def boards(
    runs: Iterable[ScoredRun], by: Sequence[str] = DEFAULT_GROUPS
) -> tuple[list[Board], Counter[str]]:
    """The boards, by dataset, and how many runs were left out, by reason.

    Of runs with one setting and one seed the newest counts; `runs` come oldest first.
    """
    from pandas import DataFrame

    runs = list(runs)
    frame = DataFrame({"run": runs, "seed": [run.seed for run in runs]})
    frame["board"] = [_board_key(run) for run in runs]
    frame["group"] = [tuple(run.tag(group) for group in by) for run in runs]
    frame["setting"] = [_setting(run, by) for run in runs]
    newest = frame.drop_duplicates(["board", "setting", "seed"], keep="last")
    superseded = len(frame) - len(newest)  # the runs come oldest first
    left_out = Counter({"superseded by a newer run of the same setting and seed": superseded})
    made = [
        Board(dataset, variant, genres, dict(files), _rows(members, by))
        for (dataset, variant, genres, files), members in newest.groupby("board", sort=False)
    ]
    return sorted(_with_own_titles(made), key=lambda board: board.title), +left_out


def _setting(run: ScoredRun, by: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """What runs of one row have in common."""
    chosen = {tag: run.run.tags.get(tag, "none") for tag in _PARTS}
    groups = {group: run.tag(group) for group in by}
    return tuple(sorted({**run.setting(), **chosen, **groups}.items()))


def _board_key(run: ScoredRun) -> _BoardKey:
    """What names the test sentences of a run: dataset, what was left out of it, genres, files."""
    variant = [f"{VARIANT}=True"] if run.run.params.get(VARIANT) == "True" else []
    limit = run.run.params.get("limit.test", "None")
    if limit != "None":
        variant.append(f"limit.test={limit} of seed {run.seed}")
    files = tuple(sorted(run.test_files.items()))
    return run.run.tags.get("dataset", ""), ", ".join(variant), run.genres, files


def _with_own_titles(found: Sequence[Board]) -> Iterator[Board]:
    """Boards of one title were tested on different files: their checksums are named."""
    titles = [board.title for board in found]
    for board in found:
        if titles.count(board.title) > 1:
            digests = " ".join(digest[:8] for digest in sorted(board.test_files.values()))
            yield replace(board, variant=", ".join(filter(None, (board.variant, digests))))
        else:
            yield board


def _rows(found: "DataFrame", by: Sequence[str]) -> tuple[LeaderboardRow, ...]:
    rows: list[LeaderboardRow] = []
    for values, group in found.groupby("group", sort=False):
        members = [
            tuple(sorted(setting["run"], key=lambda run: (len(run.seed), run.seed)))
            for _, setting in group.groupby("setting", sort=False)
        ]
        rows += [
            LeaderboardRow(dict(zip(by, values, strict=True)), differs, runs)
            for differs, runs in zip(_differences(members, by), members, strict=True)
        ]
    return tuple(sorted(rows, key=lambda row: (-row.means({"f1": "test/f1"})["f1"], row.name)))


def _differences(members: Sequence[Sequence[ScoredRun]], by: Sequence[str]) -> list[dict[str, str]]:
    """What tells the settings of one group apart; an option says as much as all of its keys."""
    settings = [
        {**{tag: runs[0].tag(tag) for tag in _PARTS if tag not in by}, **runs[0].setting()}
        for runs in members
    ]
    keys = dict.fromkeys(key for setting in settings for key in setting)
    telling = [key for key in keys if len({setting.get(key) for setting in settings}) > 1]
    options = {key for key in telling if "." not in key}
    kept = [key for key in telling if key in options or key.split(".")[0] not in options]
    return [{key: _short(key, setting.get(key, "unset")) for key in kept} for setting in settings]


def _short(key: str, value: str) -> str:
    """A value that fits on one line of a table; data by the beginning of their checksums."""
    if key == "data":
        return "+".join(part[:8] for part in value.split(","))
    line = " ".join(value.split())
    return line if len(line) <= _LONGEST_VALUE else f"{line[: _LONGEST_VALUE - 1]}…"
