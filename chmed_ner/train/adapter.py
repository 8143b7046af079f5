"""LoRA adapters: put in, saved, loaded, merged."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.errors import InputError
from chmed_ner.files import read_json, write_json
from chmed_ner.model.asking import Generator
from chmed_ner.model.checkpoint.quantized import kind_of
from chmed_ner.train.tuned import local_generator

if TYPE_CHECKING:
    from chmed_ner.backbone.causal_lm import CausalLM

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
QUANTIZED = "backbone.json"
"""Beside an adapter that was trained over a quantised backbone: how it was."""


def with_adapter(model: Any, *, rank: int, alpha: float, dropout: float, targets: Any) -> Any:
    """`model` with fresh LoRA adapters in float32 on its linear layers, everything else frozen.

    InputError when `targets` names no layer of the model, one that cannot have an adapter, or an
    output head that shares its weights with the embeddings (merging would change both).
    """
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    try:
        tuned = get_peft_model(model, config)
    except ValueError as error:
        raise InputError(f"regime.targets={targets}: {str(error).splitlines()[0]}") from None
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if head.weight is embeddings.weight and any(
        isinstance(module, LoraLayer) for module in (head, embeddings)
    ):
        raise InputError(
            f"regime.targets={targets}: output head and embeddings are one matrix in this model "
            "and take no adapter; leave them out"
        )
    return tuned


def save_adapter(model: Any, state: Mapping[str, Any], directory: Path, backbone: str) -> None:
    """Write a PEFT model's adapter with the weights `state`, atomically, as safetensors.

    The adapter's configuration names the backbone, not the folder it was loaded from. How the
    backbone was quantised stands in a file of its own.
    """
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial, state_dict=dict(state), safe_serialization=True)
    kind = kind_of(model.get_base_model())
    if kind != "none":
        write_json(partial / QUANTIZED, {"quantization": kind})
    (partial / "README.md").unlink(missing_ok=True)
    config = json.loads((partial / CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = backbone
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # a set in PEFT, written in the order of its hashes
    (partial / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    partial.replace(directory)


def quantization_of(directory: Path) -> str:
    """How the backbone was quantised that the adapter in `directory` was trained on, or `none`."""
    path = directory / QUANTIZED
    return str(read_json(path)["quantization"]) if path.is_file() else "none"


def adapted_generator(backbone: "CausalLM", directory: Path, stop: Sequence[str]) -> Generator:
    """A generator from the backbone with the adapter in `directory`; InputError if it is unusable.

    The backbone is quantised as it was when the adapter was trained. `run`, `regime=adapter` and
    `predict` all come here, so they agree.
    """
    kind = quantization_of(directory)
    if kind != "none":
        backbone = backbone.quantized(kind, f"the adapter in {directory}")
    loaded = backbone.load()
    model = adapted(loaded.model, directory)
    return local_generator(replace(loaded, model=model), backbone.batch_size, stop)


def adapted(model: Any, directory: Path) -> Any:
    """`model` with the adapter in `directory`; InputError if it is unusable.

    The adapter is added to weights in full precision. Beside quantised ones it stays: their sum
    could only be kept by quantising it again, which would be another model than the one tuned.
    """
    tuned = _with_saved(model, directory)
    if kind_of(model) != "none":
        return tuned.get_base_model().eval()
    return _merged(tuned)


def merged(model: Any, directory: Path) -> Any:
    """`model` with the adapter in `directory` added to its weights; InputError if it is unusable.

    Each sum is formed in float32 and cast once to the model's precision: adding in bfloat16 would
    change tokens.
    """
    return _merged(_with_saved(model, directory))


def _with_saved(model: Any, directory: Path) -> Any:
    from peft import PeftModel

    if not (directory / WEIGHTS).is_file():
        raise InputError(f"{directory}: no {WEIGHTS} there; give the directory of a tuned run")
    try:
        return PeftModel.from_pretrained(model, directory, is_trainable=False)
    except Exception as error:  # broken files, or those of another model
        first_line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"{directory}: this adapter cannot be put on the backbone ({first_line}); give the "
            "directory of a run that was tuned on this backbone"
        ) from error


def _merged(tuned: Any) -> Any:
    import torch
    from peft.tuners.lora import LoraLayer

    with torch.no_grad():
        for module in tuned.modules():
            if isinstance(module, LoraLayer):
                weight = module.get_base_layer().weight
                delta = module.get_delta_weight("default").float()
                weight.copy_((weight.float() + delta).to(weight.dtype))
    return tuned.unload().eval()
