"""Runs from the command line: tuned in full and scored again, killed after training and resumed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import chmed_ner
from chmed_ner.cli import main

COMMON = (
    "backbone=causal_lm", "backbone.dtype=float32", "backbone.device=cpu", "tracking=dry",
    "limit.validation=2", "limit.test=2", "decoding.tokens_per_character=0",
)  # fmt: skip


def words(llama: Path, output: Path, *more: str) -> list[str]:
    return ["run", *COMMON, f"backbone.path={llama}", f"paths.output={output}", *more]


def record(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "run.json").read_text(encoding="utf-8"))
    return found


def of_test(directory: Path) -> list[dict[str, Any]]:
    rows = map(json.loads, (directory / "predictions.jsonl").read_text("utf-8").splitlines())
    return [row for row in rows if row["split"] == "test"]


def test_a_fully_tuned_model_is_scored_again_and_predicts(tiny_llama: Path, tmp_path: Path) -> None:
    knobs = ["limit.train=12", "regime.epochs=8", "regime.learning_rate=0.002", "name=tuned"]
    assert main(words(tiny_llama, tmp_path, "regime=full", *knobs)) == 0
    (tuned,) = (tmp_path / "runs").glob("*_tuned_*")
    assert record(tuned)["counts"]["weight_bytes"] > 0
    again = ["regime=adapter", f"regime.path={tuned}", "name=again"]
    assert main(words(tiny_llama, tmp_path, *again)) == 0
    (scored,) = (tmp_path / "runs").glob("*_again_*")
    assert of_test(scored) == of_test(tuned)
    assert record(scored)["training_files"] == record(tuned)["training_files"]
    for directory in (tuned, scored):
        model = chmed_ner.load(directory)
        found = model.predict([row["sentence"] for row in of_test(directory)])
        model.close()
        wanted = [[(e["start"], e["end"]) for e in row["entities"]] for row in of_test(directory)]
        assert [[(s.start, s.end) for s in each.entities] for each in found] == wanted


@pytest.mark.slow
def test_counts_of_a_run_that_was_killed_after_its_training(
    tiny_llama: Path, tmp_path: Path
) -> None:
    """It is resumed from the adapter, and still knows how many examples were cut."""
    run = words(
        tiny_llama, tmp_path, "regime=lora", "regime.epochs=1", "regime.max_tokens=250",
        "limit.train=12",
    )  # fmt: skip
    with subprocess.Popen([sys.executable, "-m", "chmed_ner", *run]) as running:
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob("runs/*/adapter/adapter_model.safetensors")):
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    (directory,) = (tmp_path / "runs").iterdir()
    counts = record(directory)["counts"]
    assert counts["truncated_examples"] > 0
    assert not (directory / "metrics.json").exists()
    assert main([*run, f"resume={directory}"]) == 0
    ended = record(directory)
    assert ended["status"] == "FINISHED"
    kept = ("truncated_examples", "skipped_examples")
    assert [ended["counts"][key] for key in kept] == [counts[key] for key in kept]
