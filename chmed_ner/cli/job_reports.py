"""How the jobs of a command ended; jobs in other processes tell it through a folder of files."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chmed_ner.files import read_json, write_json


@dataclass
class Report:
    """How one job ended, for the table.

    `state` is done, skipped, running (in another process), failed or stopped (a budget, Ctrl-C).
    """

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
