"""Local models through transformers: language models, and encoders, which answer no prompts."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from chmed_ner.backbone.regime import Backbone
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of
from chmed_ner.knobs import MAPPING, NO_RESULT, Count, Range, one_of
from chmed_ner.model import (
    CHAT,
    QUANTIZATIONS,
    LoadedModel,
    check_kind,
    load_causal_lm as load_causal_lm,
    load_tokenizer as load_tokenizer,
    refuse_look_alikes,
    wrapping,
)

if TYPE_CHECKING:
    from chmed_ner.model import LocalGenerator

log = logging.getLogger(__name__)

FILES = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt")
"""What in a checkpoint's folder decides its answers: weights, settings, tokenizer, template."""


KERNEL = Range("a name such as sdpa or eager; a kernel of the hub would be code", str.isidentifier)


@dataclass(frozen=True, kw_only=True)
class LocalModel(Backbone):
    """A model that transformers loads without the checkpoint's own code.

    `path` is a folder, relative to the current directory, or a hub id.
    """

    name: str
    path: str | None
    revision: str | None
    dtype: str
    device: str
    attention: Annotated[str, KERNEL]
    batch_size: Count

    def check(self) -> None:
        """InputError when `path` is missing, no checkpoint, or one that only looks supported."""
        if not self.path:
            raise InputError(
                f"backbone={self.name} needs backbone.path: a folder with a checkpoint or a hub id"
            )
        place = Path(self.path).expanduser()
        local = place.is_dir() or is_no_hub_id(self.path)
        if local and not (place / "config.json").is_file():
            raise InputError(
                f"backbone.path={self.path}: no config.json there; give a folder with a checkpoint "
                "or a hub id"
            )
        refuse_look_alikes(place)

    def location(self) -> str:
        """The folder or hub id that the weights are loaded from."""
        self.check()
        place = Path(str(self.path)).expanduser()
        return str(place.absolute()) if place.is_dir() else str(self.path)

    def checksum(self) -> str:
        """SHA-256 over the checkpoint's files; for a hub id, the id and revision."""
        place = Path(str(self.path)).expanduser()
        if not place.is_dir():
            return f"{self.path}@{self.revision or 'main'}"
        digest = hashlib.sha256()
        for file in sorted({file for pattern in FILES for file in place.glob(pattern)}):
            digest.update(f"{file.name} {sha256_of(file)}\n".encode())
        return digest.hexdigest()

    def counter(self) -> Callable[[str], int]:
        """The tokenizer's, special tokens left out."""
        tokenizer = load_tokenizer(self.location(), revision=self.revision)
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def is_no_hub_id(path: str) -> bool:
    """Is it written as a place on this machine?"""
    return path.startswith(("/", "./", "../", "~"))


@dataclass(frozen=True, kw_only=True)
class CausalLM(LocalModel):
    """Any causal language model that needs no code of its own."""

    quantization: Annotated[str, one_of(*QUANTIZATIONS)]
    chat: Annotated[str, one_of(*CHAT)]
    chat_options: Annotated[Any, MAPPING]
    cache: Annotated[str | None, NO_RESULT]

    @property
    def constrains(self) -> bool:
        """Yes: every token is chosen here."""
        return True

    def check(self) -> None:
        """InputError also when `quantization` needs a package that is not installed."""
        check_kind(self.quantization)
        super().check()

    def tunable(self) -> "CausalLM":
        return self

    def quantized(self, kind: str, key: str) -> "CausalLM":
        """This backbone with weights of `kind`, for which the setting `key` asks; InputError when
        it has another kind."""
        if self.quantization not in ("none", kind):
            raise InputError(
                f"backbone.quantization={self.quantization}: {key} asks for {kind}; leave one out"
            )
        check_kind(kind, key)
        return replace(self, quantization=kind)

    def load(self, weights: Path | None = None) -> LoadedModel:
        """Model and tokenizer in memory, in evaluation mode, with the tuned `weights` of a folder
        or its own."""
        from chmed_ner.model import load_model, weight_bytes

        own = self.location()
        model = load_model(
            weights or own,
            dtype=self.dtype,
            device=self.device,
            attention=self.attention,
            revision=self.revision,
            cache=self.cache,
            quantization=self.quantization,
        )
        tokenizer = load_tokenizer(own, revision=self.revision)
        _forget_sampling(model)
        size = weight_bytes(model)
        precision = str(model.dtype).removeprefix("torch.")
        if self.quantization != "none":
            precision = f"{self.quantization}, {precision}"
        log.info("%s: weights %.0f MiB (%s)", self.name, size / 2**20, precision)
        embedding: Any = model.get_input_embeddings()
        wrapped = wrapping(tokenizer, self.chat, self.chat_options, len(embedding.weight))
        return LoadedModel(model, tokenizer, wrapped, size, self.name)

    def generator(self, *, stop: Sequence[str], seed: int) -> "LocalGenerator":
        """The model as it is, decoding greedily; `seed` has no say in that."""
        from chmed_ner.model import LocalGenerator

        return LocalGenerator(self.load(), batch_size=self.batch_size, stop=stop)


def _forget_sampling(model: Any) -> None:
    """Drop what the checkpoint recommends for sampling, all but its end tokens.

    `generate` would apply a repetition penalty to greedy decoding too, and an answer of ours
    repeats the same categories line after line.
    """
    from transformers import GenerationConfig

    ends = model.generation_config.eos_token_id
    model.generation_config = GenerationConfig(eos_token_id=ends)  # type: ignore[no-untyped-call]


class Encoder(LocalModel):
    """Any encoder (BERT and its kin) that transformers loads from safetensors, for
    `method=tagger`."""

    quantization = "none"

    def tunable(self) -> NoReturn:
        """InputError: refused."""
        raise InputError(
            f"backbone={self.name}: an encoder writes no text; use method=tagger, or a backbone "
            "that is a language model"
        )

    def generator(self, *, stop: Any, seed: int) -> NoReturn:
        self.tunable()

    def transformer(self) -> Any:
        """The model in evaluation mode on its device, without pooler or head; InputError when the
        checkpoint is not an encoder's."""
        from chmed_ner.model import load_encoder

        return load_encoder(
            self.location(),
            dtype=self.dtype,
            device=self.device,
            attention=self.attention,
            revision=self.revision,
        )

    def tokenizer(self) -> Any:
        """The tokenizer from the tokenizer files alone; InputError if absent."""
        from chmed_ner.model import load_encoder_tokenizer

        return load_encoder_tokenizer(self.location(), revision=self.revision)
