"""How a tagger is built on a backbone: its knobs, the transformer, the adapters in it."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

from chmed_ner.backbone.local_models import Encoder
from chmed_ner.backbone.protocol import Backbone
from chmed_ner.errors import InputError, first_line
from chmed_ner.knobs import Count, Positive, Share, at_least


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The knobs of a tagger's network; `conf/method/tagger.yaml` explains them.

    `rank` null tunes every weight of the transformer, else LoRA adapters of that rank.
    """

    rank: Count | None
    alpha: Positive | None
    lora_dropout: Share
    targets: Any
    crf: bool
    recurrent: Annotated[int, at_least(0)]
    dropout: Share
    window: Count


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


def transformer_of(backbone: Backbone) -> Transformer:
    """The backbone's transformer in memory."""
    if isinstance(backbone, Encoder):
        found = Transformer(backbone.transformer(), causal=False)
    else:
        found = Transformer(backbone.tunable().load().model.base_model, causal=True)
    found.model.config.use_cache = False
    return found


def positions_of(model: Any, step: int) -> float:
    """How many tokens the model can read at once, in full steps; infinite if nothing limits it.

    RoBERTa's first position follows its padding id, so it has fewer than its configuration says.
    """
    most = getattr(model.config, "max_position_embeddings", None)
    if most is None:
        return math.inf
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return int(most - (0 if padding is None else padding + 1)) // step * step


def tune(model: Any, architecture: Architecture) -> None:
    """Let what is tuned of `model` require gradients: every weight, or fresh LoRA adapters.

    Adapters are in float32, in the linear layers that `targets` names. InputError when it names no
    layer, or one that cannot have an adapter.
    """
    rank, targets = architecture.rank, architecture.targets
    if rank is None:
        model.requires_grad_(True)
        return
    from peft import LoraConfig, inject_adapter_in_model

    model.requires_grad_(False)
    config = LoraConfig(
        r=rank,
        lora_alpha=architecture.alpha or 2.0 * rank,
        lora_dropout=architecture.lora_dropout,
        target_modules=targets,
    )
    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise InputError(f"method.targets={targets}: {first_line(error)}") from None
    for name, parameter in model.named_parameters():
        if parameter.requires_grad != ("lora_" in name):
            raise InputError(f"method.targets={targets}: {name} takes no adapter; leave it out")
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
