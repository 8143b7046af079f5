"""The page: what it shows and offers, and, where Gradio is installed, that it answers."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from chmed_ner.cli.app import OpenRun, highlighted, page, runs_in, table, types_of
from chmed_ner.data.documents import Document, annotate
from chmed_ner.entities.types import Prediction, Span
from chmed_ner.errors import InputError
from chmed_ner.track.record import RunRecord


class Marks:
    """A model that takes everything between brackets for an entity."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One entity a text, if it has brackets."""
        return [
            Prediction(
                "0", "", "", text, (Span(text.index("<"), text.index(">") + 1, "DISE"),)
            ) if "<" in text else Prediction("0", "", "", text, ())
            for text in texts
        ]  # fmt: skip


def test_what_is_shown_is_the_text_and_nothing_in_it_acts() -> None:
    found = list(annotate(Marks(), [[Document("a<\u202eb>c", "\n"), Document("無", "\n")]]))
    assert highlighted(found) == [
        ("a", None), ("<U+202Eb>", "DISE"), ("c\n", None), ("無\n", None),
    ]  # fmt: skip
    assert table(found) == [["<U+202Eb>", "DISE", 1, 1, 5]]


def record(output: Path, name: str, *, started: str, kept: str, status: str = "FINISHED") -> None:
    """A run's directory."""
    directory = output / "runs" / f"{started}_{name}"
    directory.mkdir(parents=True)
    if kept:
        (directory / kept).touch()
    RunRecord(name, "e", "h", {}, status=status, started=started).write(directory)


def test_finished_runs_with_a_model_are_offered_the_newest_first(tmp_path: Path) -> None:
    record(tmp_path, "old", started="20260101-000000", kept="completions.jsonl")
    record(tmp_path, "new", started="20260201-000000", kept="model")
    record(tmp_path, "vote", started="20260301-000000", kept="")
    record(tmp_path, "dead", started="20260401-000000", kept="model", status="KILLED")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{")
    assert list(runs_in(tmp_path)) == ["new (20260201-000000)", "old (20260101-000000)"]


def test_the_page_refuses_what_it_cannot_show(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished run"):
        page(runs_in(tmp_path), [])
    opened = OpenRun({"a": tmp_path})
    with pytest.raises(InputError, match="no run '<b>' here"):
        opened.annotate("<b>", "text")
    with pytest.raises(InputError, match="use chmed-ner predict"):
        opened.annotate("a", "x" * 20001)


def test_gradio_shows_a_run_s_entities(tmp_path: Path) -> None:
    gradio = pytest.importorskip("gradio", reason="the extra `app` is not installed")
    from chmed_ner.cli import main

    words = ["method=lexicon", "tracking=dry", "limit.test=2", f"paths.output={tmp_path}"]
    assert main(["run", *words]) == 0
    runs = runs_in(tmp_path)
    blocks = page(runs, types_of(runs))
    assert isinstance(blocks, gradio.Blocks)
    assert blocks.analytics_enabled is False
    (function,) = (each for each in blocks.fns.values() if each.api_name == "entities")
    shown, entities = function.fn(next(iter(runs)), "我有脂肪肝")
    assert shown == [("我有", None), ("脂肪肝", "DISE"), ("\n", None)]
    assert entities == [["脂肪肝", "DISE", 1, 2, 5]]
