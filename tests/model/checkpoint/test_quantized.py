"""Backbones in 4 and 8 bits: loaded, tuned with QLoRA, and opened again with the same answers."""

import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.backbone.local_models import CausalLM
from chmed_ner.backbone.regime import Task, ZeroShot
from chmed_ner.cli import main
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Request
from chmed_ner.run.config import option
from chmed_ner.train.learning_regimes import SavedAdapter
from chmed_ner.train.tuned_weights import QUANTIZATION_FILE

HERE = importlib.util.find_spec("bitsandbytes") is not None
needs_bitsandbytes = pytest.mark.skipif(not HERE, reason="bitsandbytes is not installed")
KNOBS: dict[str, Any] = {"learning_rate": 0.01, "epochs": 1, "batch_size": 4, "rank": 4}


def a_task(directory: Path, pairs: list[tuple[str, str]], counts: dict[str, int]) -> Task:
    return Task(pairs, ("\n\n",), None, directory, 13, lambda _metrics, _step: None, counts.update)


def lora(**knobs: Any) -> Any:
    return option("regime", "lora", **{**KNOBS, **knobs})


def of(path: Path, kind: str = "none", **knobs: Any) -> CausalLM:
    return option(
        "backbone",
        "causal_lm",
        name="tiny",
        path=str(path),
        dtype="float32",
        device="cpu",
        quantization=kind,
        **knobs,
    )


def test_what_cannot_be_quantised_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"backbone\.quantization=int4: give one of none"):
        option("backbone", "causal_lm", name="tiny", path="x", quantization="int4")
    with pytest.raises(InputError, match=r"regime\.quantization=none: give one of nf4, int8"):
        lora(quantization="none")
    with pytest.raises(InputError, match="scripted has no weights"):
        lora(quantization="nf4").check(option("backbone", "scripted"), {})
    with pytest.raises(InputError, match=r"quantization=int8: regime\.quantization asks for nf4"):
        lora(quantization="nf4").check(of(tmp_path, "int8"), {})


@pytest.mark.skipif(HERE, reason="bitsandbytes is installed")
@pytest.mark.parametrize("words", [["regime=qlora"], ["backbone.quantization=int8"]])
def test_without_the_package_the_cure_is_named(
    words: list[str], tiny_llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["backbone=causal_lm", f"backbone.path={tiny_llama}", "tracking=dry"]
    code = main(["run", *common, f"paths.output={tmp_path}", *words])
    said = "".join(capsys.readouterr())
    assert code == 2
    assert 'bitsandbytes is not installed; pip install "chmed-ner[quantized]"' in said
    assert "Traceback" not in said


@needs_bitsandbytes
@pytest.mark.parametrize("kind", ["nf4", "int8"])
@pytest.mark.parametrize("checkpoint", ["chatglm2_6b_tiny", "baichuan_7b_tiny"])
def test_qlora_on_imported_checkpoints(
    checkpoint: str,
    kind: str,
    fixtures_dir: Path,
    heart_pairs: list[tuple[str, str]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The converted copy is quantised as it is read; the saved adapter gives the same answers."""
    caplog.set_level(logging.INFO)
    plain = of(fixtures_dir / checkpoint / "checkpoint", cache=str(tmp_path / "cache"))
    requests = [Request(str(n), "test", "FT", p, 8) for n, (p, _) in enumerate(heart_pairs)]
    counts: dict[str, int] = {}
    regime = lora(quantization=kind)
    regime.check(plain, {})
    task = a_task(tmp_path / "run", heart_pairs, counts)
    replies = regime.prepare(plain, task).answer(requests)
    names = {
        type(module).__name__
        for module in plain.quantized(kind, "this test").load().model.modules()
    }
    assert ("Linear4bit" if kind == "nf4" else "Linear8bitLt") in names
    assert 0 < counts["weight_bytes"] < 0.9 * plain.load().weight_bytes
    assert f"({kind}, float32)" in caplog.text
    adapter = tmp_path / "run" / "adapter"
    assert json.loads((adapter / QUANTIZATION_FILE).read_text()) == {"quantization": kind}
    assert regime.reopen(plain, tmp_path / "run", ("\n\n",)).answer(requests) == replies
    saved = SavedAdapter(path=str(tmp_path / "run"))
    assert saved.reopen(plain, tmp_path / "run", ("\n\n",)).answer(requests) == replies
    other = plain.quantized("int8" if kind == "nf4" else "nf4", "this test")
    with pytest.raises(InputError, match=f"the adapter in .* asks for {kind}"):
        saved.reopen(other, tmp_path / "run", ("\n\n",))
    before = ZeroShot().prepare(plain, a_task(tmp_path, [], {})).answer(requests)
    assert before != replies


@needs_bitsandbytes
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_the_embedded_backbone_in_few_bits(
    kind: str, heart_pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    """20 training steps and a few answers."""
    backbone = option("backbone", "gemma3_270m", device="cpu", batch_size=4, quantization=kind)
    requests = [Request(str(n), "test", "FT", p, 8) for n, (p, _) in enumerate(heart_pairs[:4])]
    counts: dict[str, int] = {}
    replies = ZeroShot().prepare(backbone, a_task(tmp_path, [], counts)).answer(requests)
    assert all(reply.completion_tokens for reply in replies)
    assert counts["weight_bytes"] < 480 * 2**20  # 511 MiB in bfloat16
    losses: dict[int, float] = {}

    def log(metrics: Any, step: int) -> None:
        losses[step] = metrics["train/loss"]

    task = Task(heart_pairs[:4], ("\n\n",), None, tmp_path, 13, log, counts.update)
    lora(learning_rate=0.001, epochs=20).prepare(backbone, task).answer(requests)
    assert len(losses) == 20
    assert losses[20] < 0.3 * losses[1]
