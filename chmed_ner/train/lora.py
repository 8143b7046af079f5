"""`regime=lora` and `regime=qlora`: low-rank adapters, put in, saved, loaded, merged."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.backbone.task import Task
from chmed_ner.errors import InputError
from chmed_ner.files import read_json, write_json
from chmed_ner.knobs import Count, Positive, Share, one_of
from chmed_ner.model.asking import Generator
from chmed_ner.model.checkpoint.quantized import kind_of
from chmed_ner.train.tuned import Tuned, local_generator

if TYPE_CHECKING:
    from chmed_ner.backbone.causal_lm import CausalLM
    from chmed_ner.model.loaded import LoadedModel

ADAPTER_FOLDER = "adapter"
"""The folder of a run that holds its adapter."""

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
QUANTIZATION_FILE = "backbone.json"
"""In the folder of an adapter that was trained over a quantised backbone: how it was quantised."""


@dataclass(frozen=True, kw_only=True)
class LoRA(Tuned):
    """Instruct-tuning with low-rank adapters, which are saved in `<run>/adapter`.

    With a `quantization` the frozen backbone is held in that form, as in QLoRA; null leaves it as
    the backbone's own setting says.
    """

    name = "lora"

    rank: Count
    alpha: Positive | None
    dropout: Share
    targets: Any
    quantization: Annotated[str, one_of("nf4", "int8")] | None

    def backbone(self, backbone: Backbone) -> "CausalLM":
        """The backbone, quantised if that is asked for; InputError when it cannot be."""
        found = super().backbone(backbone)
        if self.quantization is None:
            return found
        return found.quantized(self.quantization, "regime.quantization")

    def saved(self, directory: Path) -> bool:
        """Is the adapter there?"""
        return (directory / ADAPTER_FOLDER / ADAPTER_WEIGHTS).is_file()

    def prepared(self, loaded: "LoadedModel") -> Any:
        """The model with fresh adapters in float32, everything else frozen."""
        return with_adapter(
            loaded.model,
            rank=self.rank,
            alpha=self.alpha or 2.0 * self.rank,
            dropout=self.dropout,
            targets=self.targets,
        )

    def state(self, model: Any) -> dict[str, Any]:
        """The adapter's tensors, under PEFT's names."""
        from peft import get_peft_model_state_dict

        found: dict[str, Any] = get_peft_model_state_dict(model)
        return found

    def save(self, loaded: "LoadedModel", model: Any, state: Mapping[str, Any], task: Task) -> None:
        """Write the adapter."""
        save_adapter(model, state, task.directory / ADAPTER_FOLDER, loaded.name)

    def reopen(self, backbone: Backbone, directory: Path, stop: Sequence[str]) -> Generator:
        """The generator of a finished run in `directory`, its adapter on the backbone."""
        return adapted_generator(self.backbone(backbone), directory / ADAPTER_FOLDER, stop)


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

    The adapter's configuration names the backbone, not the folder it was loaded from.
    """
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial, state_dict=dict(state), safe_serialization=True)
    kind = kind_of(model.get_base_model())
    if kind != "none":
        write_json(partial / QUANTIZATION_FILE, {"quantization": kind})
    (partial / "README.md").unlink(missing_ok=True)
    config = json.loads((partial / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = backbone
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # a set in PEFT, written in the order of its hashes
    (partial / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    partial.replace(directory)


def adapted_generator(backbone: "CausalLM", directory: Path, stop: Sequence[str]) -> Generator:
    """A generator from the backbone with the adapter in `directory`; InputError if it is unusable.

    The backbone is quantised as it was when the adapter was trained. The adapter is added to
    weights in full precision. With quantised ones it stays apart: their sum could only be kept by
    quantising it again, which would be another model than the one tuned.
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
    """`model` with the adapter in `directory` added to its weights; InputError if it is unusable.

    Each sum is formed in float32 and cast once to the model's precision: adding in bfloat16 would
    change tokens.
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
        first_line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"{directory}: this adapter cannot be put on the backbone ({first_line}); give the "
            "directory of a run that was tuned on this backbone"
        ) from error
