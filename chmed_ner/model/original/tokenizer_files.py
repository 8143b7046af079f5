"""Checkpoints whose tokenizer is code of their own: which class of ours replaces it, if any."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError
from chmed_ner.model.original.chatglm2 import chatglm3
from chmed_ner.model.original.source import settings, small_file

CONFIG = "tokenizer_config.json"
_KEPT = ("unk_token", "bos_token", "eos_token", "pad_token", "chat_template", "model_max_length")
_SWITCHES = ("add_bos_token", "add_eos_token")
_TRIED = ("头痛", "患者出现发热、咳嗽", "38.5℃", " two  words", "第1天\n无", "㎎Ⅱ（Ａ）…")
"""Texts with and without what a normaliser or a prefix would change."""


def original_tokenizer(path_or_id: str | Path, revision: str | None) -> Any:
    """The tokenizer when tokenizer_config.json names an original class, else None.

    InputError for the classes of look-alikes, and when `tokenizer.model` is absent or broken.
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
    kept = {key: _plain(config[key]) for key in _KEPT if config.get(key) is not None}
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


def _class_name(config: Mapping[str, Any]) -> str:
    """The tokenizer's class, from `tokenizer_class` or else from `auto_map`."""
    named = config.get("tokenizer_class")
    listed = config.get("auto_map")
    if named is None and isinstance(listed, Mapping):
        named = listed.get("AutoTokenizer")
        named = named[0] if isinstance(named, list) and named else named
    return str(named).rpartition(".")[2]


def _refusal(config: Mapping[str, Any], path_or_id: str | Path, revision: str | None) -> str | None:
    """Why a tokenizer that names ChatGLM2's class is another one."""
    known = (config.get("name_or_path", ""), path_or_id, config.get("added_tokens_decoder", ""))
    words = " ".join(map(str, known)).lower()
    if "chatglm3" in words or "<|user|>" in words:
        return chatglm3()
    if "gmask_token" in config or small_file(path_or_id, "ice_text.model", revision):
        return "the tokenizer of ChatGLM v1, another architecture; take ChatGLM2-6B"
    return None


def _plain(value: Any) -> Any:
    """A token that the file describes by an object, as its text."""
    return value["content"] if isinstance(value, Mapping) and "content" in value else value


def refuse_inexact(tokenizer: Any, path_or_id: str | Path, revision: str | None) -> None:
    """InputError when `tokenizer` is a conversion whose pieces are not sentencepiece's.

    Where a checkpoint (InternLM3, say) has a tokenizer in code of its own and no tokenizer.json,
    transformers converts its `tokenizer.model`, but leaves out the space that many of them put in
    front: the model would read other tokens than it was trained on.
    """
    from chmed_ner.model.original.tokenizers import MODEL, sentencepiece_model

    config = settings(path_or_id, CONFIG, revision) or {}
    if not config.get("auto_map") or small_file(path_or_id, "tokenizer.json", revision):
        return
    file = small_file(path_or_id, MODEL, revision)
    if file is None:
        return
    model = sentencepiece_model(file)
    for text in _TRIED:
        if tokenizer.encode(text, add_special_tokens=False) != list(model.encode(text)):
            raise InputError(
                f"backbone.path={path_or_id}: its tokenizer is code of its own, and transformers' "
                f"conversion of its {MODEL} is another one (it differs on {text!r}); give a folder "
                "that also has an exact tokenizer.json, or serve the model with that code and use "
                "backbone=openai_compatible"
            )
