"""Two processes over gloo against one with the same batches."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from chmed_ner.train.parallel import Processes
from chmed_ner.train.recipe import Example

RECIPE = (
    "regime.epochs=2", "regime.batch_size=4", "regime.warmup_share=0", "regime.learning_rate=0.001",
)  # fmt: skip
Launch = Callable[..., tuple[int, str]]


@pytest.fixture
def launch(tiny_llama: Path, tmp_path: Path) -> Launch:
    """`torchrun -m chmed_ner run ...` with two processes, or without torchrun with one."""
    common = [
        "run", "backbone=causal_lm", f"backbone.path={tiny_llama}", "backbone.dtype=float32",
        "backbone.device=cpu", "tracking=dry", "limit.train=18", "limit.validation=1",
        "limit.test=0", "decoding.tokens_per_character=0",
    ]  # fmt: skip

    def start(processes: int, *words: str) -> tuple[int, str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        torchrun = [
            "-m", "torch.distributed.run", "--nproc-per-node", str(processes),
            "--master-port", str(port),
        ]  # fmt: skip
        ended = subprocess.run(
            [sys.executable, *(torchrun if processes > 1 else []), "-m", "chmed_ner",
             *common, f"paths.output={tmp_path / str(processes)}", *words],
            capture_output=True, text=True, cwd=tmp_path, timeout=500, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        return ended.returncode, ended.stdout + ended.stderr

    return start


def losses(run: Path) -> list[float]:
    rows = map(json.loads, (run / "history.jsonl").read_text().splitlines())
    return [row["value"] for row in rows if row["metric"] == "train/loss"]


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["lora", "full"])
def test_two_processes_train_as_one(regime: str, launch: Launch, tmp_path: Path) -> None:
    """18 sentences in batches of 4: the last batch holds 2, one for each process."""
    runs = []
    for processes in (1, 2):
        code, said = launch(processes, f"regime={regime}", *RECIPE)
        assert code == 0, said
        assert said.count("F1  95% interval") == 1  # one of them tells
        (run,) = (tmp_path / str(processes) / "runs").iterdir()
        runs.append(run)
    one, two = map(losses, runs)
    assert len(one) == 10
    assert two == pytest.approx(one, abs=1e-5)
    assert one[-1] < one[0]
    name = {"lora": "adapter/adapter_model.safetensors", "full": "model/model.safetensors"}[regime]
    first, second = (load_file(run / name) for run in runs)
    assert first.keys() == second.keys()
    for key, tensor in first.items():
        torch.testing.assert_close(second[key], tensor, rtol=0, atol=2e-4)


@pytest.mark.slow
def test_what_several_processes_cannot_share_is_refused(launch: Launch) -> None:
    code, said = launch(2, "-m", "seed=1,2")
    assert code
    assert "a multirun cannot share them" in said
    code, said = launch(2, "regime=zero_shot", "limit.test=1")
    assert code
    assert "this run tunes nothing" in said
    code, said = launch(2, "regime=lora", "backbone.device=split")
    assert code
    assert "each would take all GPUs" in said


def test_the_parts_of_a_batch_are_the_batch() -> None:
    batch = [Example((1,) * n, (2,)) for n in (5, 3, 9, 1, 7)]
    parts = [Processes(rank, 2).part(batch) for rank in (0, 1)]
    assert sorted(map(len, [*parts[0], *parts[1]])) == sorted(map(len, batch))
    assert [len(part) for part in parts] == [3, 2]
    assert Processes(1, 2).part(batch[:1]) == []
