"""The tuned weights of a run on disk: an adapter, or a model of its own; saved and opened again."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chmed_ner.backbone import CausalLM
from chmed_ner.errors import InputError, first_line
from chmed_ner.files import checksums, keep, read_json, write_json
from chmed_ner.model import Generator, LoadedModel, kind_of
from chmed_ner.track import RUN_FILE, RunRecord, note_tuned

ADAPTER_FOLDER, MODEL_FOLDER = "adapter", "model"
"""The folders of a run that hold its adapter, or its tuned model."""

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
_ORIGIN = ("base_model_name_or_path", "revision", "peft_version")
"""What an adapter's configuration says of where it comes from; nothing depends on it."""
QUANTIZATION_FILE = "backbone.json"
"""In the folder of an adapter that was trained over a quantised backbone: how it was quantised."""


def tuned_folder(directory: Path) -> Path | None:
    """The folder of a run that holds its adapter or its tuned model; None without either."""
    adapter, model = directory / ADAPTER_FOLDER, directory / MODEL_FOLDER
    if adapter.is_dir():
        return adapter
    is_model = (model / "config.json").is_file() or any(model.glob("model*.safetensors"))
    return model if is_model else None


def check_tuned(directory: Path) -> None:
    """InputError: the tuned weights of the run in `directory` are not, file by file, those whose
    SHA-256 its record holds. Without a record nothing is known of them."""
    if not (directory / RUN_FILE).is_file():
        return
    saved, folder = RunRecord.read(directory).weights, tuned_folder(directory)
    found = _files_of(folder, folder.name) if folder else {}
    for name in sorted(saved.keys() | found.keys()):
        if saved.get(name) != found.get(name):
            what = "is not what was saved" if name in saved else "was not saved by this run"
            what = what if name in found else "is missing"
            raise InputError(
                f"{directory / name}: {what} (by the SHA-256 in {RUN_FILE}); bring the run's own "
                "files back, or tune again in a new run"
            )


def _files_of(folder: Path, name: str) -> dict[str, str]:
    """The SHA-256 of a folder's files by their path in the run, where it has this `name`."""
    return {f"{name}/{file}": digest for file, digest in checksums(folder).items()}


def tuned_generator(backbone: CausalLM, directory: Path, stop: Sequence[str]) -> Generator:
    """The backbone with the tuned weights of a run; InputError: none, unusable, or altered."""
    check_tuned(directory)
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
        config = _adapter_config(directory / ADAPTER_CONFIG)
        tuned = PeftModel.from_pretrained(model, directory, is_trainable=False, config=config)
        _check_tensors(tuned, directory / ADAPTER_WEIGHTS)
    except Exception as error:  # broken files, or those of another model
        raise InputError(
            f"{directory}: this adapter cannot be put on the backbone ({first_line(error)}); give "
            "the directory of a run that was tuned on this backbone"
        ) from error
    return tuned


def _adapter_config(path: Path) -> Any:
    """PEFT's configuration of an adapter of ours; InputError: it asks for more than we save.

    Layers are named: PEFT takes a text for a regular expression, which could run for ever.
    """
    from peft import LoraConfig

    saved = read_json(path)
    config = LoraConfig(
        r=saved["r"],
        lora_alpha=saved["lora_alpha"],
        lora_dropout=saved["lora_dropout"],
        target_modules=saved["target_modules"],
        task_type="CAUSAL_LM",
        inference_mode=True,
    )
    expected = {**config.to_dict(), "target_modules": [*saved["target_modules"]]}
    for name, value in saved.items():
        if value and name not in _ORIGIN and value != expected.get(name):
            raise InputError(
                f"{path}: {name}={str(value)[:100]} is nothing that a tuning here saves"
            )
    return config


def _check_tensors(tuned: Any, path: Path) -> None:
    """InputError unless the file holds every adapter of the PEFT model `tuned`, and no other."""
    from safetensors import safe_open

    needed = {n.replace(".default", "") for n, _ in tuned.named_parameters() if "lora_" in n}
    with safe_open(path, framework="pt") as file:
        found = {name for name in file.keys() if ".base_layer." not in name}  # noqa: SIM118
    if odd := needed ^ found:
        what = "missing" if min(odd) in needed else "unexpected"
        raise InputError(f"{path}: {len(odd)} tensors do not fit, such as {min(odd)}: {what}")


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
    write_json(partial / ADAPTER_CONFIG, config)
    _place(partial, directory)


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the weights as safetensors, with configuration and tokenizer, atomically."""
    partial = _emptied(folder)
    model.save_pretrained(partial, safe_serialization=True)
    tokenizer.save_pretrained(partial)
    _place(partial, folder)


def share_folder(source: Path, target: Path) -> None:
    """`source` again as `target`; a whole model without a second copy where that can be."""
    partial = _emptied(target)
    copy = _link_or_copy if target.name == MODEL_FOLDER else shutil.copy2
    shutil.copytree(source, partial, copy_function=copy)
    note_tuned(target.parent, RunRecord.read(source.parent).weights)
    keep(partial, target)


def _place(partial: Path, folder: Path) -> None:
    """Let `partial` become `folder`; the run's record knows before what is in it."""
    note_tuned(folder.parent, _files_of(partial, folder.name))
    keep(partial, folder)


def _emptied(folder: Path) -> Path:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    return partial


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
