"""The regimes: what happens to a backbone before it is asked.

Each takes a backbone and a task and gives back a generator that is ready to answer.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.backbone.task import Task
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Generator
from chmed_ner.train.recipe import Recipe
from chmed_ner.train.tuned import Tuned

if TYPE_CHECKING:
    from chmed_ner.backbone.causal_lm import CausalLM
    from chmed_ner.model.loaded import LoadedModel

ADAPTER = "adapter"
"""The folder of a run that holds its adapter."""


class LoRA(Tuned):
    """Instruct-tuning with low-rank adapters; the best epoch on validation, or the last, is kept.

    The adapter is saved in `<run>/adapter`. With a `quantization` (nf4, int8) the frozen backbone
    is held in that form, as in QLoRA; None leaves it as the backbone's own setting says.
    """

    name = "lora"

    def __init__(
        self,
        learning_rate: float,
        epochs: int,
        batch_size: int,
        rank: int,
        alpha: float | None = None,
        dropout: float = 0.0,
        targets: Any = "all-linear",
        max_tokens: int | None = None,
        schedule: str = "cosine",
        warmup_share: float = 0.03,
        weight_decay: float = 0.0,
        clip_norm: float = 1.0,
        tokens_at_once: int = 1536,
        activation_checkpointing: bool = False,
        average_decay: float | None = None,
        candidate_softmax: bool = False,
        keep: str = "best",
        checkpoint_minutes: float | None = 10.0,
        quantization: str | None = None,
    ) -> None:
        if rank < 1:
            raise InputError(f"regime.rank={rank}: give 1 or more")
        if alpha is not None and not 0 < alpha < math.inf:
            raise InputError(f"regime.alpha={alpha}: give more than 0, or null for 2 * rank")
        if not 0 <= dropout < 1:
            raise InputError(f"regime.dropout={dropout}: give 0 or more, below 1")
        if quantization not in (None, "nf4", "int8"):
            raise InputError(f"regime.quantization={quantization!r}: choose nf4, int8 or null")
        recipe = Recipe(
            learning_rate=learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            schedule=schedule,
            warmup_share=warmup_share,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            tokens_at_once=tokens_at_once,
            max_tokens=max_tokens,
            activation_checkpointing=activation_checkpointing,
            average_decay=average_decay,
            candidate_softmax=candidate_softmax,
            keep=keep,
        )
        super().__init__(recipe, checkpoint_minutes)
        self.rank = rank
        self.alpha = 2.0 * rank if alpha is None else alpha
        self.dropout = dropout
        self.targets = targets if isinstance(targets, str) else list(targets)
        self.quantization = quantization

    def backbone(self, backbone: Backbone) -> "CausalLM":
        """The backbone, quantised if that is asked for; InputError when it cannot be."""
        found = super().backbone(backbone)
        if self.quantization is None:
            return found
        return found.quantized(self.quantization, "regime.quantization")

    def saved(self, directory: Path) -> bool:
        """Is the adapter there?"""
        from chmed_ner.train.adapter import WEIGHTS

        return (directory / ADAPTER / WEIGHTS).is_file()

    def prepared(self, loaded: "LoadedModel") -> Any:
        """The model with fresh adapters in float32, everything else frozen."""
        from chmed_ner.train.adapter import with_adapter

        return with_adapter(
            loaded.model,
            rank=self.rank,
            alpha=self.alpha,
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
        from chmed_ner.train.adapter import save_adapter

        save_adapter(model, state, task.directory / ADAPTER, loaded.name)

    def reopen(self, backbone: Backbone, directory: Path, stop: Sequence[str]) -> Generator:
        """The generator of a finished run in `directory`, its adapter on the backbone."""
        from chmed_ner.train.adapter import adapted_generator

        return adapted_generator(self.backbone(backbone), directory / ADAPTER, stop)
