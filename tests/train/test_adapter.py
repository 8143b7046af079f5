"""LoRA adapters on disk and merged into the weights."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from chmed_ner.backbone import load_causal_lm
from chmed_ner.errors import InputError
from chmed_ner.train.learning_regimes import with_adapter
from chmed_ner.train.tuned_weights import merged, save_adapter


def an_adapter(folder: Path, directory: Path, targets: Any = "all-linear") -> Any:
    """A PEFT model with random adapters in float32, also saved in `directory`."""
    model, _ = load_causal_lm(folder, dtype="float32", device="cpu")
    torch.manual_seed(3)
    tuned = with_adapter(model, rank=4, alpha=8.0, dropout=0.0, targets=targets).eval()
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.1)
    from peft import get_peft_model_state_dict

    save_adapter(tuned, get_peft_model_state_dict(tuned), directory, "tiny")
    return tuned


IDS = torch.arange(5, 45)[None]


@pytest.mark.parametrize(
    ("checkpoint", "targets"),
    [
        ("tiny_llama", "all-linear"),
        ("tiny_gemma3", "all-linear"),
        ("tiny_gemma3", ["q_proj", "v_proj"]),
        ("tiny_llama", ["q_proj", "lm_head"]),
        ("tiny_llama", ["q_proj", "embed_tokens"]),
    ],
)
def test_the_merged_model_says_what_the_peft_model_says(
    checkpoint: str, targets: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: Path = request.getfixturevalue(checkpoint)
    tuned = an_adapter(folder, tmp_path / "adapter", targets)
    plain, _ = load_causal_lm(folder, dtype="float32", device="cpu")
    with torch.inference_mode():
        before = plain(IDS).logits
        ours = merged(plain, tmp_path / "adapter")(IDS).logits
        torch.testing.assert_close(ours, tuned(IDS).logits, rtol=0, atol=1e-4)
    assert float((ours - before).abs().max()) > 0.1


@pytest.mark.parametrize("checkpoint", ["tiny_llama", "tiny_gemma3"])
def test_a_merge_in_bfloat16_is_the_float32_sum_rounded_once(
    checkpoint: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: Path = request.getfixturevalue(checkpoint)
    an_adapter(folder, tmp_path / "adapter")
    found = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    model, _ = load_causal_lm(folder, dtype="bfloat16", device="cpu")
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, tensor in expected.items():
        key = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{key}.lora_A.weight" in found:
            delta = found[f"{key}.lora_B.weight"] @ found[f"{key}.lora_A.weight"] * (8.0 / 4)
            tensor.copy_((tensor.float() + delta).bfloat16())
    result = merged(model, tmp_path / "adapter")
    assert not result.training
    state = result.state_dict()
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        assert state[name].dtype == torch.bfloat16
        assert torch.equal(state[name], tensor), name


@pytest.mark.parametrize("targets", [["no_such_layer"], "no_such.*", ["norm"], []])
def test_targets_that_cannot_be_tuned_are_named(tiny_llama: Path, targets: Any) -> None:
    model, _ = load_causal_lm(tiny_llama, dtype="float32", device="cpu")
    with pytest.raises(InputError, match=r"regime\.targets="):
        with_adapter(model, rank=4, alpha=8.0, dropout=0.0, targets=targets)


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_a_tied_head_takes_no_adapter(tiny_gemma3: Path, target: str) -> None:
    model, _ = load_causal_lm(tiny_gemma3, dtype="float32", device="cpu")
    with pytest.raises(InputError, match=r"regime\.targets=.*one matrix"):
        with_adapter(model, rank=4, alpha=8.0, dropout=0.0, targets=["q_proj", target])


def a_wider(folder: Path, target: Path) -> Path:
    """A checkpoint like the one in `folder`, with wider layers."""
    from transformers import AutoConfig, LlamaForCausalLM

    config = AutoConfig.from_pretrained(folder)
    config.intermediate_size *= 2
    LlamaForCausalLM(config).save_pretrained(target)
    for file in folder.glob("tokenizer*"):
        shutil.copy(file, target)
    return target


def test_an_adapter_that_is_not_there_or_broken_or_of_another_model_is_refused(
    tiny_llama: Path, tmp_path: Path
) -> None:
    def merge(folder: str) -> Any:
        return merged(load_causal_lm(tiny_llama, device="cpu")[0], tmp_path / folder)

    with pytest.raises(InputError, match=r"no adapter_model\.safetensors there"):
        merge("absent")
    an_adapter(tiny_llama, tmp_path / "whole")
    for name, file in (("cut", "adapter_model.safetensors"), ("torn", "adapter_config.json")):
        path = Path(shutil.copytree(tmp_path / "whole", tmp_path / name)) / file
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(InputError, match=f"{name}: this adapter cannot be put on"):
            merge(name)
    an_adapter(a_wider(tiny_llama, tmp_path / "wider"), tmp_path / "other")
    with pytest.raises(InputError, match="other: this adapter cannot be put on"):
        merge("other")


def changed(name: str, value: Any) -> Any:
    """Changes a key of the adapter's configuration."""

    def change(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))

    return change


def tensors(change: Any) -> Any:
    """Changes the adapter's tensors."""

    def spoil(folder: Path) -> None:
        path = folder / "adapter_model.safetensors"
        save_file(change(load_file(path)), path)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (tensors(lambda found: dict([*found.items()][::2])), r"14 tensors .*: missing"),
        (tensors(lambda found: {**found, "lora_A.x": torch.ones(1)}), r"lora_A\.x: unexpected"),
        (changed("target_modules", "(a+)+b|" + "(.*.*)*" * 9 + "c"), "target_modules=.*nothing"),
        (changed("rank_pattern", {"(.*.*)*.*c": 2}), "rank_pattern=.*nothing"),
        (changed("exclude_modules", "(.*.*)*.*c"), "exclude_modules=.*nothing"),
        (changed("use_dora", True), "use_dora=True is nothing"),
        (changed("target_modules", None), "cannot be put on"),
    ],
)
def test_half_an_adapter_or_more_than_one_of_ours_is_refused(
    tiny_llama: Path, tmp_path: Path, spoil: Any, message: str
) -> None:
    an_adapter(tiny_llama, tmp_path / "adapter")
    spoil(tmp_path / "adapter")
    with pytest.raises(InputError, match=message):
        merged(load_causal_lm(tiny_llama, device="cpu")[0], tmp_path / "adapter")
