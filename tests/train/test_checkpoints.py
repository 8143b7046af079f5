"""A training that is interrupted goes on as if it had never been, and whole models are tuned."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from chmed_ner.backbone.local_models import CausalLM
from chmed_ner.backbone.regime import Task
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Generator, LoadedModel, Request
from chmed_ner.run.config import option
from chmed_ner.train.checkpoint import CHECKPOINT_FILE
from chmed_ner.train.loop import MasterWeights

Pairs = list[tuple[str, str]]
KNOBS: dict[str, Any] = {"learning_rate": 0.01, "epochs": 3, "batch_size": 4}


class Journal:
    """The losses of a training, which it interrupts after `stop_at` steps."""

    def __init__(self, stop_at: int = 0) -> None:
        self.losses: dict[int, float] = {}
        self.stop_at = stop_at

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        if "train/loss" in metrics:
            assert step not in self.losses
            self.losses[step] = metrics["train/loss"]
            if step == self.stop_at:
                raise KeyboardInterrupt


def a_backbone(folder: Path, dtype: str = "float32", **knobs: Any) -> CausalLM:
    return option(
        "backbone", "causal_lm", name="tiny", path=str(folder), dtype=dtype, device="cpu", **knobs
    )


def a_task(directory: Path, pairs: Pairs, journal: Journal, scores: list[float]) -> Task:
    """A task whose validation F1 after epoch n is `scores[n - 1]`."""
    return Task(
        pairs=pairs,
        stop=("\n\n",),
        dev_f1=(lambda _generator, epoch: scores[epoch - 1]) if scores else None,
        directory=directory,
        seed=13,
        log=journal.log,
        note=lambda _counts: None,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def lora(**knobs: Any) -> Any:
    return option("regime", "lora", **{**KNOBS, "rank": 4, **knobs})


def full(**knobs: Any) -> Any:
    return option("regime", "full", **{**KNOBS, **knobs})


def regimes(minutes: float | None, weight_decay: float = 0.0) -> dict[str, Any]:
    more = {"checkpoint_minutes": minutes, "weight_decay": weight_decay}
    return {
        "adapter": lora(dropout=0.2, **more),
        "model": full(learning_rate=0.001, **more),
    }


@pytest.mark.parametrize(("kept", "dtype"), [("adapter", "float32"), ("model", "bfloat16")])
@pytest.mark.parametrize("minutes", [0.0, 1000.0], ids=["every step", "every epoch"])
def test_an_interrupted_training_ends_with_the_same_bytes(
    kept: str,
    dtype: str,
    minutes: float,
    tiny_llama: Path,
    heart_pairs: Pairs,
    tmp_path: Path,
) -> None:
    """Interrupted in the second of three epochs, with dropout. The first epoch was the best."""
    backbone = a_backbone(tiny_llama, dtype)
    scores = [30.0, 20.0, 10.0]
    whole, first, second = Journal(), Journal(stop_at=6), Journal()
    regimes(None)[kept].prepare(backbone, a_task(tmp_path / "a", heart_pairs, whole, scores))
    with pytest.raises(KeyboardInterrupt):
        regimes(minutes)[kept].prepare(backbone, a_task(tmp_path / "b", heart_pairs, first, scores))
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [CHECKPOINT_FILE]
    torch.manual_seed(99)
    regimes(minutes)[kept].prepare(backbone, a_task(tmp_path / "b", heart_pairs, second, scores))
    assert min(second.losses) == (6 if minutes == 0 else 5)  # on_step 6 came before its checkpoint
    assert {**first.losses, **second.losses} == whole.losses
    assert len(whole.losses) == 12
    assert files(tmp_path / "a" / kept) == files(tmp_path / "b" / kept)
    assert [path.name for path in (tmp_path / "b").iterdir()] == [kept]


def test_a_checkpoint_of_another_training_or_a_broken_one_is_refused(
    tiny_llama: Path, heart_pairs: Pairs, tmp_path: Path
) -> None:
    backbone, regime = a_backbone(tiny_llama), regimes(0.0)["adapter"]
    first = a_task(tmp_path, heart_pairs, Journal(stop_at=2), [])
    with pytest.raises(KeyboardInterrupt):
        regime.prepare(backbone, first)
    other = a_task(tmp_path, heart_pairs[1:], Journal(), [])
    with pytest.raises(InputError, match=f"{CHECKPOINT_FILE}: the checkpoint of another training"):
        regime.prepare(backbone, other)
    same = a_task(tmp_path, heart_pairs, Journal(), [])
    with pytest.raises(InputError, match=f"{CHECKPOINT_FILE}: the checkpoint of another training"):
        regimes(0.0, 0.5)["adapter"].prepare(backbone, same)
    path = tmp_path / CHECKPOINT_FILE
    path.write_bytes(path.read_bytes()[:1000])
    again = a_task(tmp_path, heart_pairs, Journal(), [])
    with pytest.raises(InputError, match=f"{CHECKPOINT_FILE}: cannot be read .*delete it"):
        regime.prepare(backbone, again)


KILLED = """
import json
import sys
from pathlib import Path
from chmed_ner.backbone.regime import Task
from chmed_ner.run.config import option
folder, directory, pairs = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
def log(metrics, step):
    print("step", step, flush=True)
    if step == 6:
        sys.stdin.read()
task = Task(pairs, ("\\n\\n",), None, directory, 13, log, lambda counts: None)
regime = option("regime", "lora", learning_rate=0.01, epochs=3, batch_size=4, rank=4, dropout=0.2,
                checkpoint_minutes=0.0)
words = dict(path=folder, dtype="float32", device="cpu")
regime.prepare(option("backbone", "causal_lm", **words), task)
"""


def test_a_killed_training_ends_with_the_same_bytes(
    tiny_llama: Path, heart_pairs: Pairs, tmp_path: Path
) -> None:
    words = [
        sys.executable,
        "-c",
        KILLED,
        str(tiny_llama),
        str(tmp_path / "b"),
        json.dumps(heart_pairs),
    ]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        for line in running.stdout:
            if line.strip() == "step 6":
                os.kill(running.pid, signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    backbone, journal = a_backbone(tiny_llama), Journal()
    regime = regimes(0.0)["adapter"]
    regime.prepare(backbone, a_task(tmp_path / "b", heart_pairs, journal, []))
    assert min(journal.losses) == 6
    regime.prepare(backbone, a_task(tmp_path / "a", heart_pairs, Journal(), []))
    assert files(tmp_path / "a" / "adapter") == files(tmp_path / "b" / "adapter")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_full_tuning_learns_by_heart_and_is_reopened(
    dtype: str, tiny_llama: Path, heart_pairs: Pairs, tmp_path: Path
) -> None:
    journal, heard = Journal(), []
    requests = [Request(str(n), "test", "FT", p, 30) for n, (p, _) in enumerate(heart_pairs)]

    def dev_f1(generator: Generator, epoch: int) -> float:
        heard[:] = generator.answer(requests) if epoch == 20 else []
        return float(epoch)

    backbone = a_backbone(tiny_llama, dtype)
    task = Task(heart_pairs, ("\n\n",), dev_f1, tmp_path, 13, journal.log, lambda _: None)
    regime = full(epochs=20, learning_rate=0.002, checkpoint_minutes=None)
    replies = regime.prepare(backbone, task).answer(requests)
    assert replies == heard
    right = [r.text == answer for r, (_, answer) in zip(replies, heart_pairs, strict=True)]
    assert sum(right) >= 12
    assert regime.reopen(backbone, tmp_path, ("\n\n",)).answer(requests) == replies
    alone = a_backbone(tmp_path / "model", dtype).generator(stop=("\n\n",), seed=0)
    assert alone.answer(requests) == replies  # a checkpoint of its own
    weights = load_file(tmp_path / "model" / "model.safetensors")
    assert {str(tensor.dtype) for tensor in weights.values()} == {f"torch.{dtype}"}


def test_master_weights_keep_updates_that_bfloat16_would_lose() -> None:
    layer = torch.nn.Linear(1, 1, bias=False, dtype=torch.bfloat16)
    torch.nn.init.ones_(layer.weight)
    weights = MasterWeights(layer.parameters())
    optimiser = torch.optim.SGD(weights.parameters, lr=1e-3)
    for _ in range(20):
        for _ in range(2):  # two parts of a batch
            (layer(torch.ones(1, 1, dtype=torch.bfloat16)).sum() / 2).backward()
        assert layer.weight.grad is None
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        weights.publish()
    assert weights.parameters[0].item() == pytest.approx(0.98, abs=1e-6)
    assert layer.weight.item() == torch.tensor(0.98).bfloat16().item()


def test_activation_checkpointing_changes_no_loss(
    tiny_gemma3: Path, heart_pairs: Pairs, tmp_path: Path
) -> None:
    losses = []
    for number, on in enumerate((False, True)):
        journal = Journal()
        regime = lora(learning_rate=0.001, epochs=1, activation_checkpointing=on)
        task = a_task(tmp_path / str(number), heart_pairs, journal, [])
        regime.prepare(a_backbone(tiny_gemma3), task)
        losses.append(list(journal.losses.values()))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_every_pass_of_activation_checkpointing_computes_layers_twice(
    tiny_gemma3: Path, heart_pairs: Pairs, tmp_path: Path
) -> None:
    """The forecast's two as well: it is there that memory is short first."""
    calls = 0

    class Counted(CausalLM):
        def load(self, weights: Path | None = None) -> LoadedModel:
            def count(*_: Any) -> None:
                nonlocal calls
                calls += 1

            loaded = super().load(weights)
            loaded.model.base_model.layers[0].mlp.register_forward_hook(count)
            return loaded

    journal = Journal()
    regime = lora(
        learning_rate=0.001, epochs=1, activation_checkpointing=True, tokens_at_once=10_000
    )
    place = {"name": "tiny", "path": str(tiny_gemma3)}
    plain = option("backbone", "causal_lm", dtype="float32", device="cpu", **place)
    backbone = Counted(**vars(plain))
    regime.prepare(backbone, a_task(tmp_path, heart_pairs, journal, []))
    assert calls == 2 * (2 + len(journal.losses))


def test_full_tuning_refuses_what_it_cannot_train() -> None:
    regime = full()
    with pytest.raises(InputError, match="scripted"):
        regime.check(option("backbone", "scripted"), {})
    with pytest.raises(InputError, match="quantization=nf4: regime=full"):
        regime.check(option("backbone", "causal_lm", name="tiny", path="x", quantization="nf4"), {})
    with pytest.raises(InputError, match="dtype=float16"):
        regime.check(option("backbone", "causal_lm", name="tiny", path="x", dtype="float16"), {})
    for bad in (-1.0, math.nan):
        with pytest.raises(InputError, match=r"regime\.checkpoint_minutes="):
            full(checkpoint_minutes=bad)
