"""How jobs ended: a report of each, and the table of all."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from chmed_ner.errors import printable
from chmed_ner.report import padded, say, speaking
from chmed_ner.run import reader_language

STATES = ("done", "skipped", "failed", "running", "stopped", "estimated")
_UNANSWERED = {"unread": "unread", "refused": "refused", "off_grammar": "off the grammar"}
_NEAR_ZERO = 5.0
_BASE_MODEL = (
    "F1 near 0: a base model goes on with the text instead of answering. Demonstrations "
    "(regime=few_shot) or tuning (regime=lora) show it what to write."
)
SAID = {"skipped": "done before", "running": "another process is at it"}


@dataclass
class Report:
    """How a job ended: done, skipped, running (elsewhere), failed, stopped or estimated."""

    number: int
    name: str
    directory: str = ""
    state: str = "failed"
    metrics: dict[str, float] = field(default_factory=dict)
    error: str = ""
    code: int = 0
    zero_shot: bool = False
    language: str = ""


def exit_code(reports: Sequence[Report]) -> int:
    """The code with which all jobs ended, else 1."""
    codes = {report.code for report in reports}
    return codes.pop() if len(codes) == 1 else int(any(codes))


def print_table(reports: Sequence[Report]) -> None:
    """Print how the jobs ended, what each scored and its directory; equal names get numbers."""
    languages = [report.language for report in reports if report.language]
    if reports:
        with speaking(languages[0] if languages else reader_language()):
            _print_table(reports)


def _print_table(reports: Sequence[Report]) -> None:
    if len(reports) > 1:
        print(f"\n{summary(reports)}")
    given = [report.name for report in reports]
    names = [
        name if given.count(name) == 1 else f"{name} #{report.number}"
        for name, report in zip(given, reports, strict=True)
    ]
    width = max(map(len, names))
    print(f"\n{padded(say('run'), width)}  {'P':>6} {'R':>6} {'F1':>6}  {say('95% interval')}")
    for name, report in zip(names, reports, strict=True):
        said = _outcome(report)
        if report.error and len(reports) == 1:  # its error stands above
            said = say("estimated") if report.state == "estimated" else say(report.state.upper())
        print(f"{name:<{width}}  {said}")
    for name, report in zip(names, reports, strict=True):
        if not report.error and len(reports) == 1:
            _print_genres(report.metrics)
        if report.directory:
            print(f"{name}: {report.directory}")
    zero_shot = [report.metrics for report in reports if report.zero_shot]
    if any(metrics.get("test/f1_high", math.nan) < _NEAR_ZERO for metrics in zero_shot):
        print(f"\n{say(_BASE_MODEL)}")


def summary(reports: Sequence[Report]) -> str:
    """`12 runs: 3 done, 8 skipped, 1 failed`; other states only where there are any."""
    counts = {state: sum(report.state == state for report in reports) for state in STATES}
    told = [f"{n} {say(state)}" for state, n in counts.items() if n or state in STATES[:3]]
    return f"{say('{n} runs', n=len(reports))}: {', '.join(told)}"


def _outcome(report: Report) -> str:
    if report.error:
        return f"{say(report.state.upper())}: {printable(report.error.splitlines()[0])}"
    said = say(SAID[report.state]) if report.state in SAID else ""
    if report.state == "running":
        return said
    figures = say("tuned; no test sentence was asked for")
    if report.metrics and "test/f1" not in report.metrics:
        figures = say("predicted; the test files hold no gold")
    elif report.metrics:
        figures = "  ".join([_figures(report.metrics), *_shares(report.metrics)])
    return f"{figures}  ({said})" if said else figures


def _shares(metrics: dict[str, float]) -> list[str]:
    """The shares of answers that say nothing about the entities, where there are any."""
    rates = {reason: metrics.get(f"parse/{reason}_rate", 0.0) for reason in _UNANSWERED}
    return [
        f"{100 * rate:.1f}% {say(_UNANSWERED[reason])}" for reason, rate in rates.items() if rate
    ]


def _figures(metrics: dict[str, float], prefix: str = "test/") -> str:
    precision, recall, f1, low, high = (
        metrics.get(f"{prefix}{key}", math.nan)
        for key in ("precision", "recall", "f1", "f1_low", "f1_high")
    )
    figures = f"{precision:6.2f} {recall:6.2f} {f1:6.2f}"
    return figures if math.isnan(low) else f"{figures}  {low:.2f} {say('to')} {high:.2f}"


def _print_genres(metrics: dict[str, float]) -> None:
    for key in metrics:
        if genre := re.fullmatch(r"test/([^/]+)/precision", key):
            print(f"  {genre[1]:<8} {_figures(metrics, f'test/{genre[1]}/')}")
