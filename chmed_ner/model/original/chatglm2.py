"""ChatGLM2-6B as `GlmForCausalLM`.

Both are the same arithmetic: RMS norms, grouped queries with biases, rotary positions on the first
half of each head in pairs of neighbours, a fused gate and up projection. The original computes the
rotary angles in the precision of the weights, GLM in float32, so the two agree in float32 only.
"""

import re
from typing import TYPE_CHECKING

from chmed_ner.errors import InputError
from chmed_ner.model.original.layout import Config, Layout, divided, number, positive, token_ids

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig

_LAYER = re.compile(r"transformer\.encoder\.layers\.(\d+)\.(.+)")
_OUTSIDE = {
    "transformer.embedding.word_embeddings.weight": "model.embed_tokens.weight",
    "transformer.encoder.final_layernorm.weight": "model.norm.weight",
    "transformer.output_layer.weight": "lm_head.weight",
}
_IN_LAYER = {
    "input_layernorm.weight": "input_layernorm.weight",
    "post_attention_layernorm.weight": "post_attention_layernorm.weight",
    "self_attention.dense.weight": "self_attn.o_proj.weight",
    "mlp.dense_h_to_4h.weight": "mlp.gate_up_proj.weight",
    "mlp.dense_4h_to_h.weight": "mlp.down_proj.weight",
}
_FUSED = "self_attention.query_key_value."
_COMPUTED = "transformer.rotary_pos_emb.inv_freq"
_ASSUMED = {
    "rmsnorm": True,
    "post_layer_norm": True,
    "apply_residual_connection_post_layernorm": False,
    "add_bias_linear": False,
    "multi_query_attention": True,
    "original_rope": True,
    "fp32_residual_connection": False,
    "tie_word_embeddings": False,
}
"""Switches of the original code for which GLM has one setting only; a missing key means that one.

The exceptions are `multi_query_attention` and `original_rope`, without which it is another model.
"""


def refusal(config: Config, where: str) -> str | None:
    """Why this checkpoint is not ChatGLM2-6B, although its model_type is `chatglm`."""
    if config.get("quantization_bit"):
        return (
            f"an int{config['quantization_bit']} checkpoint (quantization_bit); its packed weights "
            "need the original code. Take the unquantised checkpoint and quantise while loading"
        )
    if "position_encoding_2d" in config or "inner_hidden_size" in config:
        return "ChatGLM v1 (two-dimensional positions), another architecture; take ChatGLM2-6B"
    if config.get("rope_ratio") is not None:
        return (
            "GLM-4 or a long-context ChatGLM in its original layout (rope_ratio stretches the "
            "rotary positions); take the repository whose name ends in -hf, such as "
            "glm-4-9b-chat-hf"
        )
    if "chatglm3" in f"{config.get('_name_or_path', '')} {where}".lower():
        return chatglm3()
    if config.get("pre_seq_len") is not None:
        return "a P-tuning checkpoint (pre_seq_len), whose prefix encoder GLM does not have"
    if "multi_query_group_num" not in config or "padded_vocab_size" not in config:
        return (
            "not ChatGLM2-6B: config.json has no multi_query_group_num and padded_vocab_size; "
            "take ChatGLM2-6B, or the -hf repository of a later GLM"
        )
    return _unlike(config)


def chatglm3() -> str:
    """Why ChatGLM3 is refused."""
    return (
        "ChatGLM3-6B, which shares ChatGLM2's layout but has role tokens and a prompt of its own "
        "that are not supported; take ChatGLM2-6B, or GLM-4 as glm-4-9b-chat-hf"
    )


def _unlike(config: Config) -> str | None:
    for key, expected in _ASSUMED.items():
        required = key in ("multi_query_attention", "original_rope")
        found = config.get(key, not expected if required else expected)
        if found is not expected:
            return (
                f"config.json, {key}={found!r}: GLM computes with {key}={expected} only; this is "
                "not ChatGLM2-6B"
            )
    return None


def model_config(config: Config) -> "PreTrainedConfig":
    """The configuration of `GlmForCausalLM`; InputError for sizes that do not fit each other."""
    from transformers import GlmConfig

    head_dim = positive(config, "kv_channels")
    if head_dim % 4:
        raise InputError(f"config.json, kv_channels={head_dim}: must be divisible by 4")
    divided(config, "num_attention_heads", "multi_query_group_num")
    return GlmConfig(
        vocab_size=positive(config, "padded_vocab_size"),
        hidden_size=positive(config, "hidden_size"),
        intermediate_size=positive(config, "ffn_hidden_size"),
        num_hidden_layers=positive(config, "num_layers"),
        num_attention_heads=positive(config, "num_attention_heads"),
        num_key_value_heads=positive(config, "multi_query_group_num"),
        head_dim=head_dim,
        max_position_embeddings=positive(config, "seq_length"),
        rms_norm_eps=number(config, "layernorm_epsilon"),
        attention_bias=bool(config.get("add_qkv_bias", False)),
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.5,
        },
        tie_word_embeddings=False,
        **token_ids(config, pad_token_id=0, eos_token_id=2),
    )


def tensors(name: str, tensor: "Tensor", config: Config) -> "dict[str, Tensor]":
    """The GLM tensors that an original one holds; the fused rows are queries, keys, values."""
    if name == _COMPUTED:
        return {}
    if name in _OUTSIDE:
        return {_OUTSIDE[name]: tensor}
    match = _LAYER.fullmatch(name)
    if match is None:
        raise KeyError(name)
    layer, inside = f"model.layers.{match[1]}.", match[2]
    if inside.removeprefix(_FUSED) in ("weight", "bias") and inside.startswith(_FUSED):
        kind = inside.removeprefix(_FUSED)
        head_dim = config["kv_channels"]
        queries = config["num_attention_heads"] * head_dim
        others = config["multi_query_group_num"] * head_dim
        if tensor.shape[0] != queries + 2 * others:
            raise InputError(
                f"{name} has {tensor.shape[0]} rows; config.json asks for {queries + 2 * others}"
            )
        parts = tensor.split([queries, others, others])  # type: ignore[no-untyped-call]
        return {
            f"{layer}self_attn.{letter}_proj.{kind}": part
            for letter, part in zip("qkv", parts, strict=True)
        }
    return {layer + _IN_LAYER[inside]: tensor}


LAYOUT = Layout("ChatGLM2-6B", "chatglm2", "GlmForCausalLM", model_config, tensors, refusal)
