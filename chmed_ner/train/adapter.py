"""LoRA adapters: put in, saved, loaded, merged."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def with_adapter(model: Any, *, rank: int, alpha: float, dropout: float, targets: Any) -> Any:
    """`model` with fresh LoRA adapters in float32 on its linear layers, everything else frozen."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise InputError(f"regime.targets={targets}: {str(error).splitlines()[0]}") from None


def save_adapter(model: Any, state: Mapping[str, Any], directory: Path, backbone: str) -> None:
    """Write a PEFT model's adapter with the weights `state`, atomically, as safetensors.

    The adapter's configuration names the backbone, not the folder it was loaded from.
    """
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial, state_dict=dict(state), safe_serialization=True)
    (partial / "README.md").unlink(missing_ok=True)
    config = json.loads((partial / CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = backbone
    (partial / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, directory)


def merged(model: Any, directory: Path) -> Any:
    """`model` with the adapter in `directory` added to its weights.

    Each sum is formed in float32 and cast once to the model's precision: adding in bfloat16 would
    change tokens. `run`, `regime=adapter` and `predict` all come here, so they agree.
    """
    import torch
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    if not (directory / WEIGHTS).is_file():
        raise InputError(f"{directory}: no {WEIGHTS} there; give the directory of a tuned run")
    tuned = PeftModel.from_pretrained(model, directory, is_trainable=False)
    with torch.no_grad():
        for module in tuned.modules():
            if isinstance(module, LoraLayer):
                weight = module.get_base_layer().weight
                delta = module.get_delta_weight("default").float()
                weight.copy_((weight.float() + delta).to(weight.dtype))
    return tuned.unload().eval()
