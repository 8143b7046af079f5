"""`decoding=constrained` from the command line to the predictions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


def words(model: Path, output: Path, *more: str) -> list[str]:
    """A zero-shot run of a random model, held to the grammar."""
    return [
        "run", "backbone=causal_lm", f"backbone.path={model}", "backbone.dtype=float32",
        "backbone.device=cpu", "backbone.batch_size=4", "regime=zero_shot", "tracking=dry",
        "decoding=constrained", f"paths.output={output}", *more,
    ]  # fmt: skip


@pytest.mark.parametrize("prompt", ["extraction", "inline", "bio_runs"])
def test_a_random_model_answers_without_a_problem(
    command: Command, tiny_llama: Path, tmp_path: Path, prompt: str
) -> None:
    ended = command(*words(tiny_llama, tmp_path, "limit.test=5", f"prompt={prompt}"))
    assert ended.code == 0, ended.text
    (directory,) = (tmp_path / "runs").iterdir()
    metrics = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["parse/problem_rate"] == 0.0
    lines = (directory / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    predicted = [json.loads(line) for line in lines]
    assert any(line["entities"] for line in predicted)

    text = tmp_path / "text.txt"
    text.write_text("\n".join(line["sentence"] for line in predicted), encoding="utf-8")
    again = command("predict", "--run", str(directory), str(text))
    assert again.code == 0, again.text
    found = [json.loads(line) for line in again.out.splitlines()]
    for one, other in zip(found, predicted, strict=True):  # other batches: other roundings
        near = [
            {**each, "confidence": pytest.approx(each["confidence"], abs=1e-4)}
            for each in other["entities"]
        ]
        assert one["entities"] == near


@pytest.mark.parametrize(("decoding", "prompt"), [("constrained", "inline"), ("greedy", "json")])
def test_confidences_of_run_rescore_and_predict(
    command: Command, tiny_llama: Path, tmp_path: Path, decoding: str, prompt: str
) -> None:
    ended = command(
        *words(tiny_llama, tmp_path, "limit.test=4", f"prompt={prompt}", f"decoding={decoding}")
    )
    assert ended.code == 0, ended.text
    (directory,) = (tmp_path / "runs").iterdir()

    def rows(name: str) -> list[dict[str, Any]]:
        lines = (directory / name).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    for completion in rows("completions.jsonl"):
        assert sum(count for count, _ in completion["logprobs"]) == len(completion["text"])
    predicted = rows("predictions.jsonl")
    found = [entity["confidence"] for row in predicted for entity in row["entities"]]
    assert all(0 < confidence <= 1 for confidence in found)
    assert found or prompt == "json"
    again = command("rescore", str(directory), "tracking=dry")
    assert again.code == 0, again.text
    (rescored,) = (directory / "rescore").iterdir()
    name = "predictions.jsonl"
    assert (rescored / name).read_bytes() == (directory / name).read_bytes()
    row = next((row for row in predicted if row["entities"]), predicted[0])
    text = tmp_path / "text.txt"
    text.write_text(row["sentence"], encoding="utf-8")
    alone = command("predict", "--run", str(directory), str(text))
    assert [entity["confidence"] for entity in json.loads(alone.out)["entities"]] == pytest.approx(
        [entity["confidence"] for entity in row["entities"]], rel=1e-4
    )


def test_in_text_order(command: Command, tiny_llama: Path, tmp_path: Path) -> None:
    ended = command(
        *words(tiny_llama, tmp_path, "limit.test=4", "decoding.text_order=true",
               "restoration=in_order")
    )  # fmt: skip
    assert ended.code == 0, ended.text
    (directory,) = (tmp_path / "runs").iterdir()
    lines = (directory / "completions.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["stop"] for line in lines} == {"end"}


def test_what_cannot_be_constrained_is_refused_before_anything_is_loaded(
    command: Command, tiny_llama: Path, tmp_path: Path
) -> None:
    ended = command(
        "run", "backbone=scripted", "regime=zero_shot", "tracking=dry", "decoding=constrained",
        f"paths.output={tmp_path}",
    )  # fmt: skip
    assert ended.code == 2
    assert "backbone=scripted cannot be held to a grammar" in ended.text
    ended = command(*words(tiny_llama, tmp_path, "prompt=json"))
    assert ended.code == 2
    assert "prompt=json" in ended.text
    assert "decoding=greedy" in ended.text
