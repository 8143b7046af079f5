"""Several seeds of one setting as one row: mean and standard deviation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from chmed_ner.errors import InputError


@dataclass(frozen=True, slots=True)
class Summary:
    """A figure over several runs: their number, the mean, and the sample standard deviation.

    The deviation divides by runs - 1, so one run has none (None, not 0).
    """

    runs: int
    mean: float
    deviation: float | None

    def __str__(self) -> str:
        """`61.08 ± 0.42 (3)`, or `61.08 (1)` for a single run."""
        spread = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.mean:.2f}{spread} ({self.runs})"


def summary(figures: Sequence[float]) -> Summary:
    """Mean and standard deviation of one figure over runs; InputError where there is no run."""
    if not figures:
        raise InputError("no run to summarise; give at least one")
    deviation = stdev(figures) if len(figures) > 1 else None
    return Summary(len(figures), fmean(figures), deviation)


def summaries(runs: Mapping[str, Mapping[str, float]]) -> dict[str, Summary]:
    """Every metric of several runs (by run name) of one setting, summarised by metric name.

    Raises InputError for no run, and for a metric that only some of the runs have: they are not
    runs of one setting then.
    """
    if not runs:
        raise InputError("no run to summarise; give at least one")
    first, names = next((name, metrics.keys()) for name, metrics in runs.items())
    for run, metrics in runs.items():
        if differing := sorted(names ^ metrics.keys()):
            raise InputError(
                f"metric {differing[0]} is not in both {first} and {run}; summarise runs that "
                "differ in their seed alone"
            )
    return {name: summary([metrics[name] for metrics in runs.values()]) for name in names}
