"""Several seeds of one setting as one row."""

import pytest

from chmed_ner.errors import InputError
from chmed_ner.report.leaderboard.seeds import Summary, summaries, summary


def test_mean_and_sample_deviation() -> None:
    found = summary([60.0, 62.0, 64.0])
    assert found == Summary(3, pytest.approx(62.0), pytest.approx(2.0))
    assert str(found) == "62.00 ± 2.00 (3)"
    assert str(summary([61.084])) == "61.08 (1)"
    assert summary([61.084]).deviation is None


def test_every_metric_of_the_runs() -> None:
    runs = {
        "s13": {"test/f1": 60.0, "error/missed": 10.0},
        "s14": {"test/f1": 61.0, "error/missed": 14.0},
    }
    found = summaries(runs)
    assert list(found) == ["test/f1", "error/missed"]
    assert found["test/f1"].mean == pytest.approx(60.5)
    assert found["error/missed"].deviation == pytest.approx(8**0.5)


def test_runs_of_other_settings_are_refused() -> None:
    with pytest.raises(InputError, match="no run"):
        summaries({})
    with pytest.raises(InputError, match="no run"):
        summary([])
    more, less = {"test/f1": 1.0, "test/WA/f1": 1.0}, {"test/f1": 2.0}
    for first, second in ((more, less), (less, more)):
        with pytest.raises(InputError, match="metric test/WA/f1 is not in both s13 and s14"):
            summaries({"s13": first, "s14": second})
