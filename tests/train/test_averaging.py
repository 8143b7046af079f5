"""`regime.average_decay`: what is scored and saved is an average of the weights over the steps."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from chmed_ner.backbone.causal_lm import CausalLM
from chmed_ner.backbone.task import Task
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Generator, Reply, Request
from chmed_ner.run.config import option
from chmed_ner.train.averaging import WeightAverage
from chmed_ner.train.full import Full
from chmed_ner.train.master_weights import MasterWeights
from chmed_ner.train.regimes import LoRA

Pairs = list[tuple[str, str]]
DevF1 = Callable[[Generator, int], float]


def a_task(directory: Path, pairs: Pairs, dev_f1: DevF1 | None = None) -> Task:
    def ignored(*_: Any) -> None:
        """Nothing is reported."""

    return Task(pairs, ("\n\n",), dev_f1, directory, 13, ignored, ignored)


def a_backbone(folder: Path, dtype: str = "float32") -> CausalLM:
    return option("backbone", "causal_lm", name="tiny", path=str(folder), dtype=dtype, device="cpu")


def test_the_average_is_that_of_the_formula_and_the_weights_come_back() -> None:
    layer = torch.nn.Linear(1, 1, bias=False, dtype=torch.bfloat16)
    torch.nn.init.zeros_(layer.weight)
    weights = MasterWeights(layer)
    (master,) = weights.parameters
    average, expected = WeightAverage(weights, 0.3), 0.0
    for step, value in enumerate((1.0, 3.0, -2.0, 8.0), start=1):
        with torch.no_grad():
            master.fill_(value)
        weights.publish()
        average.update(step)
        kept = min(0.3, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
        assert average.tensors[0].item() == pytest.approx(expected)
    assert (2 + 1) / (10 + 2) < 0.3 < (4 + 1) / (10 + 4), "both cases of the minimum were met"
    with pytest.raises(KeyboardInterrupt), average.in_model():  # noqa: PT012
        assert layer.weight.item() == torch.tensor(expected).bfloat16().item()
        raise KeyboardInterrupt
    assert (layer.weight.item(), master.item()) == (8.0, 8.0)
    assert average.tensors[0].item() == pytest.approx(expected)


def adapter(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "adapter" / "adapter_model.safetensors")


def test_the_saved_adapter_is_the_average_of_those_after_each_step(
    tiny_llama: Path, heart_pairs: Pairs, tmp_path: Path
) -> None:
    """One step an epoch at a constant rate: the plain run of n epochs ends where step n is."""
    knobs: dict[str, Any] = {
        "batch_size": len(heart_pairs), "rank": 4, "schedule": "constant", "warmup_share": 0.0,
    }  # fmt: skip
    backbone, after = a_backbone(tiny_llama), []
    for epochs, rate in ((1, 1e-30), (1, 0.01), (2, 0.01), (3, 0.01)):
        place = tmp_path / f"{rate}-{epochs}"
        LoRA(rate, epochs, **knobs).prepare(backbone, a_task(place, heart_pairs))
        after.append(adapter(place))
    decay = 0.2
    averaged = LoRA(0.01, 3, **knobs, average_decay=decay)
    averaged.prepare(backbone, a_task(tmp_path / "averaged", heart_pairs))
    found = adapter(tmp_path / "averaged")
    for name, tensor in found.items():
        expected = after[0][name]
        for step, kept in ((1, 2 / 11), (2, decay), (3, decay)):
            expected = kept * expected + (1 - kept) * after[step][name]
        torch.testing.assert_close(tensor, expected, rtol=1e-4, atol=1e-6)
        assert not torch.equal(tensor, after[3][name])


@pytest.mark.parametrize(
    ("regime", "dtype"),
    [
        (partial(LoRA, 0.02, 2, 4, rank=4), "float32"),
        (partial(Full, 0.01, 2, 4), "bfloat16"),
    ],
    ids=["lora", "full"],
)
def test_validation_scores_what_is_saved(
    regime: Callable[..., LoRA | Full],
    dtype: str,
    tiny_llama: Path,
    heart_pairs: Pairs,
    tmp_path: Path,
) -> None:
    requests = [Request(str(n), "validation", "FT", p, 12) for n, (p, _) in enumerate(heart_pairs)]
    heard: list[list[Reply]] = []

    def dev_f1(generator: Generator, epoch: int) -> float:
        heard.append(generator.answer(requests))
        return float(epoch)

    backbone = a_backbone(tiny_llama, dtype)
    scored = a_task(tmp_path / "a", heart_pairs, dev_f1)
    replies = regime(average_decay=0.8).prepare(backbone, scored).answer(requests)
    assert replies == heard[-1] != heard[0]
    last = regime().prepare(backbone, a_task(tmp_path / "b", heart_pairs))
    assert last.answer(requests) != replies


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5, float("nan")])
def test_a_decay_lies_between_0_and_1(decay: float) -> None:
    for regime in (LoRA, Full):
        rank = {"rank": 4} if regime is LoRA else {}
        with pytest.raises(InputError, match=r"regime\.average_decay="):
            regime(0.01, 2, 4, **rank, average_decay=decay)  # type: ignore[arg-type]
