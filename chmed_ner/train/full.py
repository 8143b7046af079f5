"""`regime=full`: every weight of the backbone is tuned."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.protocol import Backbone, Task
from chmed_ner.errors import InputError
from chmed_ner.train.tuned import Tuned
from chmed_ner.train.tuned_weights import MODEL_FOLDER, save_model

if TYPE_CHECKING:
    from chmed_ner.backbone.local_models import CausalLM
    from chmed_ner.model.loaded import LoadedModel

log = logging.getLogger(__name__)

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
        """Write the model."""
        import torch

        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(state[name])
        save_model(model, loaded.tokenizer, task.directory / MODEL_FOLDER)
