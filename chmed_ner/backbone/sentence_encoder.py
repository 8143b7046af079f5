"""Sentence embeddings: the mean of an encoder's states over the tokens of a sentence."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.encoder import Encoder
from chmed_ner.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LONGEST = 512
"""Tokens of a sentence that are read; the rest is cut."""


class SentenceEncoder:
    """An encoder by its local folder or hub id; `key` names, in errors, the setting it came from.

    Loaded at the first use, in float32.
    """

    def __init__(self, path: str, key: str, batch_size: int = 32) -> None:
        self.path = path
        self.key = key
        self.batch_size = batch_size
        self._encoder = Encoder("encoder", path, dtype="float32", batch_size=batch_size)
        self._loaded: tuple[Any, Any] | None = None

    def check(self) -> None:
        """InputError when there is no checkpoint."""
        self._under_key(self._encoder.check)

    def checksum(self) -> str:
        """SHA-256 over the checkpoint's files; for a hub id, the id and revision."""
        return self._encoder.checksum()

    def embed(self, texts: Sequence[str]) -> "npt.NDArray[np.float32]":
        """One row of length 1 for each text, (len(texts), hidden size), float32."""
        import numpy as np

        model, tokenizer = self._load()
        order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))  # little padding
        rows = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
        for start in range(0, len(order), self.batch_size):
            some = order[start : start + self.batch_size]
            rows[some] = _pooled(model, tokenizer, [texts[at] for at in some])
        return rows

    def close(self) -> None:
        """Free the weights."""
        self._loaded = None

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            model = self._under_key(self._encoder.transformer)
            self._loaded = model, self._under_key(self._encoder.tokenizer)
        return self._loaded

    def _under_key(self, step: Any) -> Any:
        try:
            return step()
        except InputError as error:
            raise InputError(str(error).replace("backbone.path", self.key)) from error


def _pooled(model: Any, tokenizer: Any, texts: list[str]) -> Any:
    """Mean over the tokens (B, T, D) -> (B, D), rows of length 1; padding has no say."""
    import torch

    read = tokenizer(
        texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
    ).to(model.device)
    with torch.inference_mode():
        states = model(**read).last_hidden_state.float()
    mask = read["attention_mask"].unsqueeze(-1).float()
    mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
    return torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
