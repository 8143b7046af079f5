"""Progress off a terminal: a log line a minute, with the time that is left."""

import logging

import pytest

from chmed_ner import machine
from chmed_ner.backbone.watch import Pace


def test_a_line_is_logged_after_each_stretch_of_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("chmed_ner.machine.time.monotonic", lambda: now)
    with caplog.at_level(logging.INFO), machine.progress(300, "generate", "sentence") as bar:
        for done in range(1, 7):
            now = 100.0 + 25 * done
            bar.update(50)
    assert [record.getMessage() for record in caplog.records] == [
        "generate: 150 of 300 sentences, about 75 seconds left",
    ]


def test_an_estimate_stands_beside_the_bound_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("chmed_ner.backbone.watch.time.perf_counter", lambda: now)
    pace = Pace(100, 62 * 60.0)
    with caplog.at_level(logging.INFO):
        for done in range(1, 100):
            now = done * 2.4
            pace.look_at(1)
    assert [record.getMessage() for record in caplog.records] == [
        "10 of 100 answers: about 4 minutes in all, at most 62 minutes",
    ]
