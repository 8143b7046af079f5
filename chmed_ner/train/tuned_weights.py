"""The tuned weights of a run on disk: an adapter, or a model of its own; saved and opened again."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chmed_ner.backbone import CausalLM
from chmed_ner.errors import InputError, first_line
from chmed_ner.files import read_json, write_json
from chmed_ner.model import Generator, LoadedModel, kind_of

ADAPTER_FOLDER, MODEL_FOLDER = "adapter", "model"
"""The folders of a run that hold its adapter, or its tuned model."""

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
QUANTIZATION_FILE = "backbone.json"
"""In the folder of an adapter that was trained over a quantised backbone: how it was quantised."""


def tuned_folder(directory: Path) -> Path | None:
    """The folder of a run that holds its adapter or its tuned model; None without either."""
    adapter, model = directory / ADAPTER_FOLDER, directory / MODEL_FOLDER
    if (adapter / ADAPTER_WEIGHTS).is_file():
        return adapter
    return model if (model / "config.json").is_file() else None


def tuned_generator(backbone: CausalLM, directory: Path, stop: Sequence[str]) -> Generator:
    """The backbone with the tuned weights of a run; InputError: none, or unusable."""
    folder = tuned_folder(directory)
    if folder is None:
        raise InputError(
            f"{directory}: no {ADAPTER_FOLDER}/ and no {MODEL_FOLDER}/ there; give the directory "
            "of a tuned run"
        )
    if folder.name == ADAPTER_FOLDER:
        return adapted_generator(backbone, folder, stop)
    return local_generator(backbone.load(folder), backbone.batch_size, stop)


def local_generator(loaded: LoadedModel, batch_size: int, stop: Sequence[str]) -> Generator:
    """The generator of a loaded model."""
    from chmed_ner.model import LocalGenerator

    return LocalGenerator(loaded, batch_size=batch_size, stop=stop)


def adapted_generator(backbone: CausalLM, directory: Path, stop: Sequence[str]) -> Generator:
    """The backbone with the adapter in `directory`, quantised as in training; InputError: unusable.

    Onto quantised weights it is not added: they would be quantised again, to another model.
    """
    path = directory / QUANTIZATION_FILE
    if path.is_file():
        kind = str(read_json(path)["quantization"])
        backbone = backbone.quantized(kind, f"the adapter in {directory}")
    loaded = backbone.load()
    if kind_of(loaded.model) == "none":
        model = merged(loaded.model, directory)
    else:
        model = _with_saved(loaded.model, directory).get_base_model().eval()
    return local_generator(replace(loaded, model=model), backbone.batch_size, stop)


def merged(model: Any, directory: Path) -> Any:
    """`model` with the adapter in `directory` added to its weights; InputError: unusable.

    Sums are formed in float32 and cast once: adding in bfloat16 would change tokens.
    """
    import torch
    from peft.tuners.lora import LoraLayer

    tuned = _with_saved(model, directory)
    with torch.no_grad():
        for module in tuned.modules():
            if isinstance(module, LoraLayer):
                weight = module.get_base_layer().weight
                delta = module.get_delta_weight("default").float()
                weight.copy_((weight.float() + delta).to(weight.dtype))
    return tuned.unload().eval()


def _with_saved(model: Any, directory: Path) -> Any:
    from peft import PeftModel

    if not (directory / ADAPTER_WEIGHTS).is_file():
        raise InputError(f"{directory}: no {ADAPTER_WEIGHTS} there; give the folder of a tuned run")
    try:
        return PeftModel.from_pretrained(model, directory, is_trainable=False)
    except Exception as error:  # broken files, or those of another model
        raise InputError(
            f"{directory}: this adapter cannot be put on the backbone ({first_line(error)}); give "
            "the directory of a run that was tuned on this backbone"
        ) from error


def save_adapter(model: Any, state: Mapping[str, Any], directory: Path, base: str) -> None:
    """Write a PEFT model's adapter with the weights `state`, atomically.

    It names `base`, the hub id or folder of the backbone, where PEFT and vLLM look for it.
    """
    partial = _emptied(directory)
    model.save_pretrained(partial, state_dict=dict(state), safe_serialization=True)
    kind = kind_of(model.get_base_model())
    if kind != "none":
        write_json(partial / QUANTIZATION_FILE, {"quantization": kind})
    (partial / "README.md").unlink(missing_ok=True)
    config = read_json(partial / ADAPTER_CONFIG)
    config["base_model_name_or_path"] = base
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # a set in PEFT, written in the order of its hashes
    (partial / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    partial.replace(directory)


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the weights as safetensors, with configuration and tokenizer, atomically."""
    partial = _emptied(folder)
    model.save_pretrained(partial, safe_serialization=True)
    tokenizer.save_pretrained(partial)
    partial.replace(folder)


def share_folder(source: Path, target: Path) -> None:
    """`source` again as `target`; a whole model without a second copy where that can be."""
    partial = _emptied(target)
    copy = _link_or_copy if target.name == MODEL_FOLDER else shutil.copy2
    shutil.copytree(source, partial, copy_function=copy)
    partial.replace(target)


def _emptied(folder: Path) -> Path:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    return partial


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
