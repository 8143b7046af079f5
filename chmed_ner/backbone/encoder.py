"""Local encoders (BERT and its kin) through transformers: states for characters, no text."""

from typing import Any, NoReturn

from chmed_ner.backbone.causal_lm import LocalModel
from chmed_ner.errors import InputError


class Encoder(LocalModel):
    """Any encoder that transformers' AutoModel loads from safetensors, without code of its own.

    It serves `method=tagger`; it answers no prompts.
    """

    quantization = "none"

    def tunable(self) -> NoReturn:
        """Refused: InputError."""
        self._refuse()

    def generator(self, *, stop: Any, seed: int) -> NoReturn:  # noqa: ARG002
        """Refused: InputError."""
        self._refuse()

    def transformer(self) -> Any:
        """The model in evaluation mode on its device, without pooler or head.

        Raises InputError when there is no checkpoint, or none of an encoder.
        """
        from chmed_ner.model.checkpoint.loading import load_encoder

        return load_encoder(
            self.location(),
            dtype=self.dtype,
            device=self.device,
            attention=self.attention,
            revision=self.revision,
        )

    def tokenizer(self) -> Any:
        """The tokenizer from the tokenizer files alone; InputError if absent."""
        from chmed_ner.model.checkpoint.loading import load_encoder_tokenizer

        return load_encoder_tokenizer(self.location(), revision=self.revision)

    def _refuse(self) -> NoReturn:
        raise InputError(
            f"backbone={self.name}: an encoder writes no text; use method=tagger, or a backbone "
            "that is a language model"
        )
