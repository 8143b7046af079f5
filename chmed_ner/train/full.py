"""`regime=full`: every weight of the backbone is tuned."""

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.backbone.task import Task
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Generator
from chmed_ner.train.tuned import Tuned, local_generator

if TYPE_CHECKING:
    from chmed_ner.backbone.causal_lm import CausalLM
    from chmed_ner.model.loaded import LoadedModel

log = logging.getLogger(__name__)

MODEL_FOLDER = "model"
"""The folder of a run that holds its tuned weights, a checkpoint of its own."""

BYTES = 20
"""Of a parameter while training: see `Full`."""


@dataclass(frozen=True, kw_only=True)
class Full(Tuned):
    """Instruct-tuning of all weights, which are saved in `<run>/model`, a checkpoint of its own.

    Weights in half precision have float32 master copies (`master_weights`): with the gradient, the
    two moments of AdamW and the copy of the kept epoch that is 20 bytes a parameter while training
    (2 + 4 + 4 + 8 + 2; in float32 4 + 4 + 8 + 4), besides activations.
    """

    name = "full"

    def backbone(self, backbone: Backbone) -> "CausalLM":
        """The backbone; InputError when it has no weights, or weights that are not trained."""
        found = super().backbone(backbone)
        if found.quantization != "none":
            raise InputError(
                f"backbone.quantization={found.quantization}: regime=full trains every weight, "
                "and quantised ones cannot be; use regime=qlora"
            )
        if found.dtype == "float16":
            raise InputError(
                "backbone.dtype=float16: gradients of regime=full would vanish in its range; use "
                "bfloat16 or float32"
            )
        return found

    def saved(self, directory: Path) -> bool:
        """Is the tuned model there?"""
        return is_model(directory / MODEL_FOLDER)

    def prepared(self, loaded: "LoadedModel") -> Any:
        """The model, every parameter requiring a gradient."""
        model = loaded.model.requires_grad_(True)
        count = sum(parameter.numel() for parameter in model.parameters())
        log.info(
            "full tuning of %.0f million parameters: about %.1f GiB besides activations",
            count / 1e6,
            count * BYTES / 2**30,
        )
        return model

    def state(self, model: Any) -> dict[str, Any]:
        """Every parameter in the model's precision; a tied matrix once."""
        return dict(model.named_parameters())

    def save(self, loaded: "LoadedModel", model: Any, state: Mapping[str, Any], task: Task) -> None:
        """Write the weights as safetensors, with their configuration and tokenizer."""
        import torch

        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(state[name])
        partial = task.directory / f"{MODEL_FOLDER}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        model.save_pretrained(partial, safe_serialization=True)
        loaded.tokenizer.save_pretrained(partial)
        partial.replace(task.directory / MODEL_FOLDER)

    def reopen(self, backbone: Backbone, directory: Path, stop: Sequence[str]) -> Generator:
        """The generator of a finished run in `directory`: its own weights."""
        return model_generator(self.backbone(backbone), directory / MODEL_FOLDER, stop)


def is_model(folder: Path) -> bool:
    """Does `folder` hold a tuned model?"""
    return (folder / "config.json").is_file()


def model_generator(backbone: "CausalLM", folder: Path, stop: Sequence[str]) -> Generator:
    """A generator from the tuned weights in `folder`, with the backbone's tokenizer and wrapping.

    InputError when there are none.
    """
    if not is_model(folder):
        raise InputError(f"{folder}: no config.json there; give the directory of a tuned run")
    return local_generator(backbone.load(folder), backbone.batch_size, stop)


def share_model(source: Path, target: Path) -> None:
    """`source` again as `target`, without a second copy on the disk where the file system can."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial, copy_function=_link_or_copy)
    partial.replace(target)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
