"""Layers on several devices, with processors in the place of GPUs."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from chmed_ner.backbone.local_models import CausalLM
from chmed_ner.backbone.regime import Task
from chmed_ner.entities.labels import label_scheme
from chmed_ner.errors import InputError
from chmed_ner.model.asking import LoadedModel, Request
from chmed_ner.model.checkpoint.hardware import is_split, refuse_offloaded
from chmed_ner.model.checkpoint.loading import load_model
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.run.config import option
from chmed_ner.train.tuned import Tuned

LABELS = label_scheme("two", {"A": {"simplified": "症状"}, "B": {"simplified": "药品"}})
STOP = ("\n\n",)
Losses = dict[int, float]


class Split(CausalLM):
    """A backbone under accelerate's hooks, which move what each layer reads to its device.

    Here that is always the processor; the second half is said to lie on another one.
    """

    def load(self, weights: Path | None = None) -> LoadedModel:
        """As any model's; then accelerate puts its hooks before every layer."""
        from accelerate import dispatch_model

        loaded = super().load(weights)
        names = ["model.embed_tokens", "model.rotary_emb", "model.layers.0", "model.layers.1",
                 "model.norm", "lm_head"]  # fmt: skip
        dispatch_model(loaded.model, dict.fromkeys(names, "cpu"), force_hooks=True)
        loaded.model.hf_device_map = {name: f"cpu:{at // 3}" for at, name in enumerate(names)}
        return loaded


def backbones(folder: Path) -> tuple[CausalLM, CausalLM]:
    """The same model on one device and on two."""
    one = option(
        "backbone", "causal_lm", path=str(folder), dtype="float32", device="cpu", batch_size=4
    )
    return one, Split(**vars(one))


def requests(texts: list[str], *, constrained: bool) -> list[Request]:
    """A request for each text."""
    grammars = [
        Extraction(order="unique", separator="-").grammar(
            text, LABELS, "simplified", in_order=False
        )
        if constrained
        else None
        for text in texts
    ]
    return [
        Request(str(at), "test", "FT", f"句子：{text}\n医疗实体：\n", 24, grammar=grammar)
        for at, (text, grammar) in enumerate(zip(texts, grammars, strict=True))
    ]


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gemma3"])
@pytest.mark.parametrize("constrained", [False, True])
def test_the_same_answers(
    name: str, constrained: bool, request: pytest.FixtureRequest, sample_sentences: list[str]
) -> None:
    one, two = (
        each.generator(stop=STOP, seed=0) for each in backbones(request.getfixturevalue(name))
    )
    assert is_split(two.loaded.model)
    assert not is_split(one.loaded.model)
    asked = requests([text[:20] for text in sample_sentences[:12]], constrained=constrained)
    assert two.answer(asked) == one.answer(asked)


@pytest.mark.parametrize(
    "regime",
    [option("regime", name, learning_rate=0.001, batch_size=4) for name in ("lora", "full")],
    ids=["lora", "full"],
)
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gemma3"])
def test_the_same_training(
    name: str,
    regime: Tuned,
    request: pytest.FixtureRequest,
    sample_sentences: list[str],
    tmp_path: Path,
) -> None:
    found: list[Losses] = []
    texts: list[str] = []
    pairs = [(f"句子：{text[:12]}\n医疗实体：\n", "头痛-症状") for text in sample_sentences[:12]]
    for number, backbone in enumerate(backbones(request.getfixturevalue(name))):
        losses: Losses = {}

        def keep(metrics: Any, step: int, losses: Losses = losses) -> None:
            if "train/loss" in metrics:
                losses[step] = metrics["train/loss"]

        task = Task(
            pairs=pairs, stop=STOP, dev_f1=None, directory=tmp_path / str(number), seed=7,
            log=keep, note=lambda _: None,
        )  # fmt: skip
        generator = regime.prepare(backbone, task)
        found.append(losses)
        texts.append(generator.answer(requests(["头痛两天"], constrained=False))[0].text)
    assert len(found[0]) == 2 * math.ceil(12 / 4)
    assert found[1] == pytest.approx(found[0], rel=1e-4)
    assert texts[1] == texts[0]


def test_without_two_gpus_it_is_refused(tiny_llama: Path) -> None:
    with pytest.raises(InputError, match=r"backbone\.device=split: torch sees \d CUDA devices"):
        load_model(tiny_llama, device="split")


def test_what_the_gpus_do_not_hold_is_refused() -> None:
    """On a machine without any, every weight lies elsewhere."""
    for device in ("cpu", "meta"):
        with pytest.raises(InputError, match=r"path=x: the GPUs together do not hold it"):
            refuse_offloaded(torch.nn.Linear(1, 1, device=device), "x")
