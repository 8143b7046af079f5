"""The transformer below a tagger: any backbone with weights, its states only, tuned or not."""

import math
from dataclasses import dataclass
from typing import Any

from chmed_ner.backbone.encoder import Encoder
from chmed_ner.backbone.protocol import Backbone
from chmed_ner.errors import InputError


@dataclass(frozen=True)
class Transformer:
    """A transformer without its output head; `causal` where a state knows only what precedes."""

    model: Any
    causal: bool


def tokenizer_of(backbone: Backbone) -> Any:
    """The tokenizer of a backbone, without its weights; InputError when it has none."""
    if isinstance(backbone, Encoder):
        return backbone.tokenizer()
    from chmed_ner.model.checkpoint.loading import load_tokenizer

    source = backbone.tunable()
    return load_tokenizer(source.location(), revision=source.revision)


def transformer_of(backbone: Backbone, *, bidirectional: bool) -> Transformer:
    """The backbone's transformer in memory, its attention unmasked if `bidirectional`."""
    if isinstance(backbone, Encoder):
        found = Transformer(backbone.transformer(), causal=False)
    else:
        found = Transformer(backbone.tunable().load().model.base_model, causal=True)
    found.model.config.use_cache = False
    if not bidirectional:
        return found
    unmask(found.model)
    return Transformer(found.model, causal=False)


def unmask(model: Any) -> None:
    """Let every token of `model` attend to those behind it too (in its window, where it has one).

    transformers builds masks of both directions for a configuration with `is_causal` false; the
    attention layers need to be told too, for batches that need no mask. InputError for an
    architecture in which that has no effect.
    """
    model.config.is_causal = False
    for module in model.modules():
        if hasattr(module, "is_causal"):
            module.is_causal = False
    if not _sees_ahead(model):
        raise InputError(
            f"method.bidirectional=true: the attention of {type(model).__name__} cannot be "
            "unmasked; use method.repeat=true for the context to the right"
        )


def _sees_ahead(model: Any) -> bool:
    """Whether the first state depends on the last token, with a mask for padding and without."""
    import torch

    ids = torch.tensor([[5, 6, 7], [5, 6, 8]], device=model.device)
    padded = torch.tensor([[1, 1, 1, 0]] * 2, device=model.device)
    with torch.no_grad():
        whole = model(input_ids=ids).last_hidden_state[:, 0]
        part = model(
            input_ids=torch.nn.functional.pad(ids, (0, 1)), attention_mask=padded
        ).last_hidden_state[:, 0]
    return all(not torch.equal(states[0], states[1]) for states in (whole, part))


def positions_of(model: Any, step: int) -> float:
    """How many tokens the model can read at once, in whole steps; infinite if nothing limits it.

    RoBERTa counts positions from behind its padding id, so it has fewer than its configuration
    says.
    """
    most = getattr(model.config, "max_position_embeddings", None)
    if most is None:
        return math.inf
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return int(most - (0 if padding is None else padding + 1)) // step * step


def with_lora(
    model: Any, *, rank: int, alpha: float, dropout: float, targets: str | list[str]
) -> None:
    """Put fresh LoRA adapters in float32 into the linear layers of `model`; freeze all the rest.

    InputError when `targets` names no layer, or one that cannot have an adapter.
    """
    from peft import LoraConfig, inject_adapter_in_model

    model.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets)
    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise InputError(f"method.targets={targets}: {str(error).splitlines()[0]}") from None
    for name, parameter in model.named_parameters():
        if parameter.requires_grad != ("lora_" in name):
            raise InputError(f"method.targets={targets}: {name} takes no adapter; leave it out")
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
