"""How the jobs of `chmed-ner run` ended, and the table of them that it prints at its end."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chmed_ner.files import read_json, write_json


@dataclass
class Report:
    """How a job ended: done, skipped, running (in another process), failed or stopped."""

    number: int
    name: str
    directory: str = ""
    state: str = "failed"
    metrics: dict[str, float] = field(default_factory=dict)
    error: str = ""
    code: int = 0


def write_journal(journal: Path, report: Report) -> None:
    """Leave a report for the process that started the job."""
    write_json(journal / f"{report.number}.json", asdict(report))


def read_journal(journal: Path) -> Iterator[Report]:
    """The reports that were left in `journal`."""
    for path in journal.glob("*.json"):
        yield Report(**read_json(path))


STATES = ("done", "skipped", "failed", "running", "stopped")
SAID = {"skipped": "done before", "running": "another process is at it"}


def exit_code(reports: Sequence[Report]) -> int:
    """The exit code of a sweep: the jobs' own where all of them ended so, else 1 if any failed."""
    codes = {report.code for report in reports}
    return codes.pop() if len(codes) == 1 else int(any(codes))


def print_table(reports: Sequence[Report]) -> None:
    """How many jobs ended how, what each scored and where it lies."""
    if not reports:
        return
    if len(reports) > 1:
        print(f"\n{summary(reports)}")
    names = _told_apart(reports)
    width = max(map(len, names))
    print(f"\n{'run':<{width}}  {'P':>6} {'R':>6} {'F1':>6}  95% interval")
    for name, report in zip(names, reports, strict=True):
        print(f"{name:<{width}}  {_outcome(report)}")
    for name, report in zip(names, reports, strict=True):
        if not report.error and len(reports) == 1:
            _print_genres(report.metrics)
        if report.directory:
            print(f"{name}: {report.directory}")


def summary(reports: Sequence[Report]) -> str:
    """`12 runs: 3 done, 8 skipped, 1 failed`; other states only where there are any."""
    counts = {state: sum(report.state == state for report in reports) for state in STATES}
    told = [f"{n} {state}" for state, n in counts.items() if n or state in STATES[:3]]
    return f"{len(reports)} runs: {', '.join(told)}"


def _told_apart(reports: Sequence[Report]) -> list[str]:
    """The names, with the job's number where two are the same."""
    names = [report.name for report in reports]
    return [
        name if names.count(name) == 1 else f"{name} #{report.number}"
        for name, report in zip(names, reports, strict=True)
    ]


def _outcome(report: Report) -> str:
    if report.error:
        return f"{report.state.upper()}: {report.error.splitlines()[0]}"
    said = SAID.get(report.state, "")
    if report.state == "running":
        return said
    figures = (
        _figures(report.metrics) if report.metrics else "tuned; no test sentence was asked for"
    )
    return f"{figures}  ({said})" if said else figures


def _figures(metrics: dict[str, float], prefix: str = "test/") -> str:
    figures = " ".join(f"{metrics[prefix + key]:6.2f}" for key in ("precision", "recall", "f1"))
    if f"{prefix}f1_low" not in metrics:
        return figures
    return f"{figures}  {metrics[prefix + 'f1_low']:.2f} to {metrics[prefix + 'f1_high']:.2f}"


def _print_genres(metrics: dict[str, float]) -> None:
    genres = [key.split("/")[1] for key in metrics if re.fullmatch(r"test/[^/]+/precision", key)]
    for genre in genres:
        print(f"  {genre:<8} {_figures(metrics, f'test/{genre}/')}")
