"""Which original layout and tokenizer a checkpoint's files name; look-alikes are refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError
from chmed_ner.model.original.layouts import BAICHUAN, CHATGLM2, Config, Layout
from chmed_ner.model.original.source import json_object, settings, small_file

CONFIG = "tokenizer_config.json"
_KEPT = ("unk_token", "bos_token", "eos_token", "pad_token", "chat_template", "model_max_length")
_SWITCHES = ("add_bos_token", "add_eos_token")
TRIED = ("头痛", "患者出现发热、咳嗽", "38.5℃", " two  words", "第1天\n无", "㎎Ⅱ（Ａ）…")
"""Texts with and without what a normaliser or a prefix would change."""
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
"""Switches of ChatGLM2 for which GLM has one setting only. A missing key means that one, except
`multi_query_attention` and `original_rope`, without which it is another model."""
_CHATGLM3 = (
    "ChatGLM3-6B, which shares ChatGLM2's layout but has role tokens and a prompt of its own "
    "that are not supported; take ChatGLM2-6B, or GLM-4 as glm-4-9b-chat-hf"
)
ARCHITECTURE = "BaiChuanForCausalLM"
"""How Baichuan-7B spells itself; Baichuan-13B and Baichuan2 say BaichuanForCausalLM."""


def layout_of(config: Config, where: str) -> Layout | None:
    """The original layout of the checkpoint `where`, None for transformers' own layouts.

    InputError: the `model_type` of a supported model, but another computation.
    """
    layout, reason = None, None
    if config.get("model_type") == "chatglm":
        layout, reason = CHATGLM2, _not_chatglm2(config, where)
    elif config.get("model_type") == "baichuan":
        layout, reason = BAICHUAN, _not_baichuan(config)
    if reason:
        raise InputError(f"backbone.path={where}: {reason}")
    return layout


def refuse_look_alikes(folder: Path) -> None:
    """InputError: the checkpoint in `folder` only looks like a supported one."""
    config = json_object(folder / "config.json")
    if config is not None:
        layout_of(config, str(folder))


def _not_chatglm2(config: Config, where: str) -> str | None:
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
        return _CHATGLM3
    if config.get("pre_seq_len") is not None:
        return "a P-tuning checkpoint (pre_seq_len), whose prefix encoder GLM does not have"
    if "multi_query_group_num" not in config or "padded_vocab_size" not in config:
        return (
            "not ChatGLM2-6B: config.json has no multi_query_group_num and padded_vocab_size; "
            "take ChatGLM2-6B, or the -hf repository of a later GLM"
        )
    for key, expected in _ASSUMED.items():
        required = key in ("multi_query_attention", "original_rope")
        found = config.get(key, not expected if required else expected)
        if found is not expected:
            return (
                f"config.json, {key}={found!r}: GLM computes with {key}={expected} only; this is "
                "not ChatGLM2-6B"
            )
    return None


def _not_baichuan(config: Config) -> str | None:
    """Why this checkpoint is not Baichuan-7B, although its model_type is `baichuan`."""
    if config.get("vocab_size") == 125_696 or "z_loss_weight" in config:
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


def original_tokenizer(path_or_id: str | Path, revision: str | None) -> Any:
    """The tokenizer when tokenizer_config.json names an original class, else None.

    InputError: the class of a look-alike; `tokenizer.model` is absent or broken.
    """
    config = settings(path_or_id, CONFIG, revision)
    name = _class_name(config or {})
    if config is None or name not in ("ChatGLMTokenizer", "BaiChuanTokenizer", *_REFUSED):
        return None
    reason = _REFUSED.get(name) or _refusal(config, path_or_id, revision)
    if reason:
        raise InputError(f"backbone.path={path_or_id}: {reason}")
    from chmed_ner.model.original.tokenizers import MODEL, BaiChuanTokenizer, ChatGLMTokenizer

    file = small_file(path_or_id, MODEL, revision)
    if file is None:
        raise InputError(f"backbone.path={path_or_id}: no {MODEL} there, which {name} needs")
    if name == "ChatGLMTokenizer":
        return ChatGLMTokenizer(str(file))
    kept = {key: config[key] for key in _KEPT if config.get(key) is not None}
    for key, value in kept.items():  # a token may be described by an object
        if isinstance(value, Mapping) and "content" in value:
            kept[key] = value["content"]
    switches = {key: bool(config[key]) for key in _SWITCHES if key in config}
    return BaiChuanTokenizer(str(file), **switches, **kept)


_REFUSED = {
    "ChatGLM4Tokenizer": (
        "GLM-4 in its original layout; take the repository whose name ends in -hf, such as "
        "glm-4-9b-chat-hf"
    ),
    "BaichuanTokenizer": (
        "the tokenizer of Baichuan-13B or Baichuan2, which are not supported; take Baichuan-7B"
    ),
}


def _class_name(config: Config) -> str:
    """The tokenizer's class, from `tokenizer_class` or else from `auto_map`."""
    named = config.get("tokenizer_class")
    listed = config.get("auto_map")
    if named is None and isinstance(listed, Mapping):
        named = listed.get("AutoTokenizer")
        named = named[0] if isinstance(named, list) and named else named
    return str(named).rpartition(".")[2]


def _refusal(config: Config, path_or_id: str | Path, revision: str | None) -> str | None:
    known = (config.get("name_or_path", ""), path_or_id, config.get("added_tokens_decoder", ""))
    words = " ".join(map(str, known)).lower()
    if "chatglm3" in words or "<|user|>" in words:
        return _CHATGLM3
    if "gmask_token" in config or small_file(path_or_id, "ice_text.model", revision):
        return "the tokenizer of ChatGLM v1, another architecture; take ChatGLM2-6B"
    return None


def refuse_inexact(tokenizer: Any, path_or_id: str | Path, revision: str | None) -> None:
    """InputError: `tokenizer` is a conversion whose pieces are not sentencepiece's.

    Of a checkpoint with a tokenizer in code of its own and no tokenizer.json (InternLM3, say),
    transformers converts `tokenizer.model`, without the space that many of them put in front.
    """
    from chmed_ner.model.original.tokenizers import MODEL, sentencepiece_model

    config = settings(path_or_id, CONFIG, revision) or {}
    if not config.get("auto_map") or small_file(path_or_id, "tokenizer.json", revision):
        return
    file = small_file(path_or_id, MODEL, revision)
    if file is None:
        return
    model = sentencepiece_model(file)
    for text in TRIED:
        if tokenizer.encode(text, add_special_tokens=False) != list(model.encode(text)):
            raise InputError(
                f"backbone.path={path_or_id}: its tokenizer is code of its own, and transformers' "
                f"conversion of its {MODEL} is another one (it differs on {text!r}); give a folder "
                "that also has an exact tokenizer.json, or serve the model with that code and use "
                "backbone=openai_compatible"
            )
