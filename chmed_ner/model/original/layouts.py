"""The original layouts of ChatGLM2-6B and Baichuan-7B, and their way into transformers' classes."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chmed_ner.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """A checkpoint's original layout and its way into a class of transformers.

    `model_config` turns config.json into the class's configuration, `tensors` an original tensor
    into those of the class by name: none for a buffer, KeyError for an unknown name.
    """

    name: str
    slug: str
    model_class: str
    model_config: Callable[[Config], "PreTrainedConfig"]
    tensors: "Callable[[str, Tensor, Config], dict[str, Tensor]]"


def _positive(config: Config, key: str) -> int:
    value = config.get(key)
    if type(value) is not int or value < 1:
        raise InputError(f"config.json, {key}={value!r}: give a whole number above 0")
    return value


def _number(config: Config, key: str) -> float:
    value = config.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise InputError(f"config.json, {key}={value!r}: give a number above 0")
    return float(value)


def _token_ids(config: Config, **defaults: int) -> dict[str, Any]:
    ids = {key: config.get(key, default) for key, default in defaults.items()}
    for key, value in ids.items():
        if type(value) is not int or value < 0:
            raise InputError(f"config.json, {key}={value!r}: give a token id")
    return ids


def _divided(config: Config, whole: str, part: str) -> int:
    total, count = _positive(config, whole), _positive(config, part)
    if total % count:
        raise InputError(f"config.json, {whole}={total}: {part}={count} does not divide it")
    return total // count


def _three_parts(
    name: str, tensor: "Tensor", rows: Sequence[int]
) -> "Iterator[tuple[str, Tensor]]":
    """The rows of queries, keys and values, each with its letter."""
    if tensor.shape[0] != sum(rows):
        raise InputError(f"{name} has {tensor.shape[0]} rows; config.json asks for {sum(rows)}")
    return zip("qkv", tensor.split(list(rows)), strict=True)  # type: ignore[no-untyped-call]


_GLM_LAYER = re.compile(r"transformer\.encoder\.layers\.(\d+)\.(.+)")
_GLM_OUTSIDE = {
    "transformer.embedding.word_embeddings.weight": "model.embed_tokens.weight",
    "transformer.encoder.final_layernorm.weight": "model.norm.weight",
    "transformer.output_layer.weight": "lm_head.weight",
}
_GLM_IN_LAYER = {
    "input_layernorm.weight": "input_layernorm.weight",
    "post_attention_layernorm.weight": "post_attention_layernorm.weight",
    "self_attention.dense.weight": "self_attn.o_proj.weight",
    "mlp.dense_h_to_4h.weight": "mlp.gate_up_proj.weight",
    "mlp.dense_4h_to_h.weight": "mlp.down_proj.weight",
}
_GLM_FUSED = "self_attention.query_key_value."
_GLM_COMPUTED = "transformer.rotary_pos_emb.inv_freq"


def _glm_config(config: Config) -> "PreTrainedConfig":
    from transformers import GlmConfig

    head_dim = _positive(config, "kv_channels")
    if head_dim % 4:
        raise InputError(f"config.json, kv_channels={head_dim}: must be divisible by 4")
    _divided(config, "num_attention_heads", "multi_query_group_num")
    return GlmConfig(
        vocab_size=_positive(config, "padded_vocab_size"),
        hidden_size=_positive(config, "hidden_size"),
        intermediate_size=_positive(config, "ffn_hidden_size"),
        num_hidden_layers=_positive(config, "num_layers"),
        num_attention_heads=_positive(config, "num_attention_heads"),
        num_key_value_heads=_positive(config, "multi_query_group_num"),
        head_dim=head_dim,
        max_position_embeddings=_positive(config, "seq_length"),
        rms_norm_eps=_number(config, "layernorm_epsilon"),
        attention_bias=bool(config.get("add_qkv_bias", False)),
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.5,
        },
        tie_word_embeddings=False,
        **_token_ids(config, pad_token_id=0, eos_token_id=2),
    )


def _glm_tensors(name: str, tensor: "Tensor", config: Config) -> "dict[str, Tensor]":
    if name == _GLM_COMPUTED:
        return {}
    if name in _GLM_OUTSIDE:
        return {_GLM_OUTSIDE[name]: tensor}
    match = _GLM_LAYER.fullmatch(name)
    if match is None:
        raise KeyError(name)
    layer, inside = f"model.layers.{match[1]}.", match[2]
    if inside.removeprefix(_GLM_FUSED) in ("weight", "bias") and inside.startswith(_GLM_FUSED):
        queries = config["num_attention_heads"] * config["kv_channels"]
        others = config["multi_query_group_num"] * config["kv_channels"]
        parts = _three_parts(name, tensor, [queries, others, others])
        kind = inside.removeprefix(_GLM_FUSED)
        return {f"{layer}self_attn.{each}_proj.{kind}": part for each, part in parts}
    return {layer + _GLM_IN_LAYER[inside]: tensor}


CHATGLM2 = Layout("ChatGLM2-6B", "chatglm2", "GlmForCausalLM", _glm_config, _glm_tensors)
"""Rotary positions turn half of each head. The two agree in float32 only: the original computes
their angles in the precision of the weights."""


_BAICHUAN_FUSED = re.compile(r"(model\.layers\.\d+\.self_attn\.)W_pack\.weight")
_BAICHUAN_COMPUTED = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq")
_BAICHUAN_KEPT = re.compile(
    r"model\.embed_tokens\.weight|model\.norm\.weight|lm_head\.weight|model\.layers\.\d+\."
    r"(self_attn\.o_proj|mlp\.(gate|up|down)_proj|(input|post_attention)_layernorm)\.weight"
)


def _llama_config(config: Config) -> "PreTrainedConfig":
    from transformers import LlamaConfig

    if config.get("hidden_act") != "silu":
        raise InputError(f"config.json, hidden_act={config.get('hidden_act')!r}: must be silu")
    heads = _positive(config, "num_attention_heads")
    head_dim = _divided(config, "hidden_size", "num_attention_heads")
    if head_dim % 2:
        raise InputError(f"config.json: {head_dim} numbers a head; rotary positions need pairs")
    return LlamaConfig(
        vocab_size=_positive(config, "vocab_size"),
        hidden_size=_positive(config, "hidden_size"),
        intermediate_size=_positive(config, "intermediate_size"),
        num_hidden_layers=_positive(config, "num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=head_dim,
        hidden_act="silu",
        max_position_embeddings=_positive(config, "max_position_embeddings"),
        rms_norm_eps=_number(config, "rms_norm_eps"),
        attention_bias=False,
        mlp_bias=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=False,
        **_token_ids(config, pad_token_id=0, bos_token_id=1, eos_token_id=2),
    )


def _llama_tensors(name: str, tensor: "Tensor", config: Config) -> "dict[str, Tensor]":
    if _BAICHUAN_COMPUTED.fullmatch(name):
        return {}
    if _BAICHUAN_KEPT.fullmatch(name):
        return {name: tensor}
    match = _BAICHUAN_FUSED.fullmatch(name)
    if match is None:
        raise KeyError(name)
    parts = _three_parts(name, tensor, [config["hidden_size"]] * 3)
    return {f"{match[1]}{each}_proj.weight": part for each, part in parts}


BAICHUAN = Layout("Baichuan-7B", "baichuan", "LlamaForCausalLM", _llama_config, _llama_tensors)
