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
        from chmed_ner.model.checkpoint.hardware import quiet_hub, torch_device, torch_dtype

        quiet_hub()
        from transformers import AutoModel

        place = torch_device(self.device)
        try:
            model, report = AutoModel.from_pretrained(
                self.location(),
                dtype=torch_dtype(self.dtype, place),
                attn_implementation=self.attention,
                revision=self.revision,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        except Exception as error:  # a broken checkpoint fails in as many ways as it has parts
            raise self._unloadable(error) from error
        missing = [name for name in report["missing_keys"] if "pooler" not in name]
        if missing or model.config.is_encoder_decoder:
            what = f"weights such as {min(missing)} are missing" if missing else "it has a decoder"
            raise InputError(
                f"backbone.path={self.path}: not a checkpoint of an encoder ({what}); give one of "
                "the BERT family"
            )
        if getattr(model, "pooler", None) is not None:
            model.pooler = None
        return model.to(place).eval()

    def tokenizer(self) -> Any:
        """The tokenizer from the tokenizer files alone; InputError if absent."""
        from chmed_ner.model.checkpoint.hardware import quiet_hub

        quiet_hub()
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(
                self.location(), revision=self.revision, trust_remote_code=False
            )
        except Exception as error:  # as above
            raise self._unloadable(error) from error

    def _unloadable(self, error: Exception) -> InputError:
        first_line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        return InputError(
            f"backbone.path={self.path}: cannot be loaded ({first_line}); give a folder with "
            "config.json, safetensors weights and tokenizer files, or a hub id"
        )

    def _refuse(self) -> NoReturn:
        raise InputError(
            f"backbone={self.name}: an encoder writes no text; use method=tagger, or a backbone "
            "that is a language model"
        )
