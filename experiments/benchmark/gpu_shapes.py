"""Models of known shapes with random weights, and a tokenizer for them: nothing is downloaded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chmed_ner.model import LoadedModel, weight_bytes, wrapping

SEED = 13


@dataclass(frozen=True)
class Shape:
    """The size of a model of a transformers `family`, whose head may be its embedding (`tied`)."""

    family: str
    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: tuple[int, int]
    head_width: int
    tied: bool
    more: Mapping[str, Any]

    def config(self) -> Any:
        """transformers' configuration; the tokens are those of `a_tokenizer`."""
        import transformers

        return getattr(transformers, f"{self.family}Config")(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads[0],
            num_key_value_heads=self.heads[1],
            head_dim=self.head_width,
            tie_word_embeddings=self.tied,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=None,
            architectures=[f"{self.family.removesuffix('Text')}ForCausalLM"],
            **self.more,
        )


GEMMA = {"sliding_window": 512, "query_pre_attn_scalar": 256}
SHORT = {"sliding_window": 32, "query_pre_attn_scalar": 16, "initializer_range": 0.1}

FULL = {
    "gemma3_270m": Shape("Gemma3Text", 262_144, 640, 2048, 18, (4, 1), 256, True, GEMMA),
    "qwen3_0_6b": Shape("Qwen3", 151_936, 1024, 3072, 28, (16, 8), 128, True, {}),
    "qwen3_8b": Shape("Qwen3", 151_936, 4096, 12_288, 36, (32, 8), 128, False, {}),
}
TINY = {
    "gemma3_tiny": Shape("Gemma3Text", 2048, 64, 96, 6, (4, 1), 16, True, SHORT),
    "qwen3_tiny": Shape("Qwen3", 2048, 64, 96, 2, (4, 2), 16, False, {"initializer_range": 0.15}),
}


def sample_texts() -> list[str]:
    """The training sentences of the shipped corpus, which a language model has written."""
    from chmed_ner.run import compose, configure, read_corpus

    words = ["dataset=sample", "backbone=scripted", "regime=zero_shot", "tracking=dry"]
    return [sentence.model_text for sentence in read_corpus(configure(compose(words), {})).train]


def a_tokenizer(texts: list[str], size: int) -> Any:
    """A byte-level BPE tokenizer of `size` tokens that has learnt on `texts`.

    What `texts` do not fill are pairs of ideographs that no sentence holds: tokens that are written
    by a random model, and decoded, but never read.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=min(size, 8000),
        special_tokens=["<pad>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    spelt = json.loads(tokenizer.to_str())
    vocabulary, shown = spelt["model"]["vocab"], bytes_to_unicode()
    for number in range(size - len(vocabulary)):
        pair = chr(0x3400 + number // 512) + chr(0x3400 + number % 512)
        vocabulary["".join(shown[byte] for byte in pair.encode())] = len(vocabulary)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(spelt)),
        eos_token="<eos>",
        pad_token="<pad>",
        padding_side="left",
    )


def write_folder(shape: Shape, folder: Path) -> None:
    """A checkpoint's folder without weights: configuration and tokenizer."""
    shape.config().save_pretrained(folder)
    a_tokenizer(sample_texts(), shape.vocabulary).save_pretrained(folder)


def parameters(shape: Shape) -> int:
    """How many parameters a model of this shape has."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape.config())
    return sum(parameter.numel() for parameter in model.parameters())


def a_model(shape: Shape, tokenizer: Any, dtype: str, device: Any) -> LoadedModel:
    """A model of this shape with random weights, made on the device; the same at every call."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(SEED)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(
            shape.config(), dtype=getattr(torch, dtype), attn_implementation="sdpa"
        )
    wrapped = wrapping(tokenizer, "never", {}, shape.vocabulary)
    return LoadedModel(model.eval(), tokenizer, wrapped, weight_bytes(model))
