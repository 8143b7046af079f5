"""Baichuan-7B as `LlamaForCausalLM`: Llama's names and arithmetic, but for the fused `W_pack`."""

import re
from typing import TYPE_CHECKING

from chmed_ner.errors import InputError
from chmed_ner.model.original.layout import Config, Layout, divided, number, positive, token_ids

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig

ARCHITECTURE = "BaiChuanForCausalLM"
"""How Baichuan-7B spells itself; Baichuan-13B and Baichuan2 say BaichuanForCausalLM."""
BAICHUAN2_VOCABULARY = 125_696

_FUSED = re.compile(r"(model\.layers\.\d+\.self_attn\.)W_pack\.weight")
_COMPUTED = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq")
_KEPT = re.compile(
    r"model\.embed_tokens\.weight|model\.norm\.weight|lm_head\.weight|model\.layers\.\d+\."
    r"(self_attn\.o_proj|mlp\.(gate|up|down)_proj|(input|post_attention)_layernorm)\.weight"
)


def refusal(config: Config, where: str) -> str | None:  # noqa: ARG001 (as in the other layouts)
    """Why this checkpoint is not Baichuan-7B, although its model_type is `baichuan`."""
    if config.get("vocab_size") == BAICHUAN2_VOCABULARY or "z_loss_weight" in config:
        return (
            "Baichuan2 (a normalised output head, a vocabulary of 125,696), which Llama does not "
            "compute; take Baichuan-7B"
        )
    if "max_position_embeddings" not in config:
        return (
            "Baichuan-13B (ALiBi instead of rotary positions), which Llama does not compute; "
            "take Baichuan-7B"
        )
    if config.get("quantization_config") or config.get("quantization_bit"):
        return (
            "a quantised checkpoint, whose packed weights need the original code; take the "
            "unquantised one and quantise while loading"
        )
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or architectures != [ARCHITECTURE]:
        return (
            f"architectures={architectures!r} in config.json; Baichuan-7B says "
            f"['{ARCHITECTURE}'], and Baichuan-13B and Baichuan2, which Llama does not compute, "
            "say BaichuanForCausalLM"
        )
    for key in ("tie_word_embeddings", "rope_scaling"):
        if config.get(key):
            return f"config.json, {key}={config[key]!r}: Baichuan-7B has none; another model"
    return None


def model_config(config: Config) -> "PreTrainedConfig":
    """The configuration of `LlamaForCausalLM`; InputError for sizes that do not fit each other."""
    from transformers import LlamaConfig

    if config.get("hidden_act") != "silu":
        raise InputError(f"config.json, hidden_act={config.get('hidden_act')!r}: must be silu")
    heads = positive(config, "num_attention_heads")
    head_dim = divided(config, "hidden_size", "num_attention_heads")
    if head_dim % 2:
        raise InputError(f"config.json: {head_dim} numbers a head; rotary positions need pairs")
    return LlamaConfig(
        vocab_size=positive(config, "vocab_size"),
        hidden_size=positive(config, "hidden_size"),
        intermediate_size=positive(config, "intermediate_size"),
        num_hidden_layers=positive(config, "num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=head_dim,
        hidden_act="silu",
        max_position_embeddings=positive(config, "max_position_embeddings"),
        rms_norm_eps=number(config, "rms_norm_eps"),
        attention_bias=False,
        mlp_bias=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=False,
        **token_ids(config, pad_token_id=0, bos_token_id=1, eos_token_id=2),
    )


def tensors(name: str, tensor: "Tensor", config: Config) -> "dict[str, Tensor]":
    """The Llama tensors that an original one holds; `W_pack` is queries, keys, values in thirds."""
    if _COMPUTED.fullmatch(name):
        return {}
    if _KEPT.fullmatch(name):
        return {name: tensor}
    match = _FUSED.fullmatch(name)
    if match is None:
        raise KeyError(name)
    rows = 3 * config["hidden_size"]
    if tensor.shape[0] != rows:
        raise InputError(f"{name} has {tensor.shape[0]} rows; config.json asks for {rows}")
    return {
        f"{match[1]}{letter}_proj.weight": part
        for letter, part in zip("qkv", tensor.chunk(3), strict=True)
    }


LAYOUT = Layout("Baichuan-7B", "baichuan", "LlamaForCausalLM", model_config, tensors, refusal)
