"""A language model in memory, ready to answer or to be tuned."""

from dataclasses import dataclass
from typing import Any

from chmed_ner.model.checkpoint.chat import Wrapping


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, its tokenizer, how prompts are wrapped for it, its size, its name."""

    model: Any
    tokenizer: Any
    wrapping: Wrapping
    weight_bytes: int = 0
    name: str = ""
