"""`regime=lora` and `regime=qlora`: low-rank adapters are tuned."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from chmed_ner.backbone.protocol import Backbone, Task
from chmed_ner.errors import InputError, first_line
from chmed_ner.knobs import Count, Positive, Share, one_of
from chmed_ner.train.tuned import Tuned
from chmed_ner.train.tuned_weights import ADAPTER_FOLDER, save_adapter

if TYPE_CHECKING:
    from chmed_ner.backbone.local_models import CausalLM
    from chmed_ner.model.loaded import LoadedModel


@dataclass(frozen=True, kw_only=True)
class LoRA(Tuned):
    """Instruct-tuning with low-rank adapters, which are saved in `<run>/adapter`.

    With a `quantization` the frozen backbone is loaded in that form, as in QLoRA; null leaves it as
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
        raise InputError(f"regime.targets={targets}: {first_line(error)}") from None
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if head.weight is embeddings.weight and any(
        isinstance(module, LoraLayer) for module in (head, embeddings)
    ):
        raise InputError(
            f"regime.targets={targets}: output head and embeddings are one matrix in this model "
            "and take no adapter; leave them out"
        )
    return tuned
