"""Tiny checkpoints in the original layouts of ChatGLM2-6B and Baichuan-7B, random, made here."""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Original:
    """A checkpoint's config.json, its tensors under their original names, and the model they are.

    `model` is one of transformers' own: whatever loads the checkpoint must compute the same.
    """

    config: dict[str, Any]
    tensors: dict[str, Any]
    model: Any
    tokenizer_config: dict[str, Any]
    tokenizer_model: bytes

    def write(self, folder: Path, *, pickled: bool = False, **changes: Any) -> Path:
        """The checkpoint in `folder`; `changes` to config.json, None takes a key away."""
        import torch
        from safetensors.torch import save_file

        self.write_tokenizer(folder)
        config = {**self.config, **changes}
        kept = {key: value for key, value in config.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(kept), encoding="utf-8")
        if pickled:
            torch.save(self.tensors, folder / "pytorch_model.bin")
        else:
            save_file(self.tensors, folder / "model.safetensors")
        return folder

    def write_tokenizer(self, folder: Path, **changes: Any) -> Path:
        """The tokenizer files in `folder`; `changes` as in `write`, to tokenizer_config.json."""
        folder.mkdir(parents=True, exist_ok=True)
        config = {**self.tokenizer_config, **changes}
        kept = {key: value for key, value in config.items() if value is not None}
        (folder / "tokenizer_config.json").write_text(json.dumps(kept), encoding="utf-8")
        (folder / "tokenizer.model").write_bytes(self.tokenizer_model)
        return folder


def trained(sentences: list[str], size: int, normaliser: str, symbols: list[str]) -> bytes:
    """A sentencepiece model of `size` pieces."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=written,
        model_type="bpe",
        vocab_size=size,
        byte_fallback=True,
        character_coverage=0.98,
        normalization_rule_name=normaliser,
        remove_extra_whitespaces=False,
        split_digits=True,
        num_threads=1,
        minloglevel=2,
        user_defined_symbols=symbols,
    )
    return written.getvalue()


def randomised(model_class: str, config: Any) -> Any:
    """A random model in which no bias is zero and no norm is one."""
    import torch
    import transformers

    torch.manual_seed(7)
    model = getattr(transformers, model_class)(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith((".bias", "norm.weight")):
            torch.nn.init.normal_(parameter, 1.0, 0.3)
    return model


def fused(state: Mapping[str, Any], layer: str, kind: str) -> Any:
    """Queries, keys and values of a layer in one tensor."""
    import torch

    return torch.cat([state[f"{layer}.self_attn.{letter}_proj.{kind}"] for letter in "qkv"])


@pytest.fixture(scope="session")
def chatglm2(sample_sentences: list[str]) -> Original:
    """Heads wider than the hidden size asks for, three groups, three layers."""
    import torch
    from transformers import GlmConfig

    model = randomised(
        "GlmForCausalLM",
        GlmConfig(
            vocab_size=1028,
            hidden_size=40,
            intermediate_size=56,
            num_hidden_layers=3,
            num_attention_heads=6,
            num_key_value_heads=3,
            head_dim=8,
            max_position_embeddings=2048,
            initializer_range=0.25,
            rms_norm_eps=3e-5,
            pad_token_id=0,
            eos_token_id=2,
        ),
    )
    names = {
        "model.embed_tokens": "embedding.word_embeddings",
        "model.norm": "encoder.final_layernorm",
        "model.layers": "encoder.layers",
        "lm_head": "output_layer",
        "self_attn.o_proj": "self_attention.dense",
        "mlp.gate_up_proj": "mlp.dense_h_to_4h",
        "mlp.down_proj": "mlp.dense_4h_to_h",
    }
    state = model.state_dict()
    tensors: dict[str, Any] = {"transformer.rotary_pos_emb.inv_freq": torch.ones(2)}
    for name, tensor in state.items():
        theirs = name
        if match := re.fullmatch(r"(.+)\.self_attn\.q_proj\.(weight|bias)", name):
            tensor = fused(state, match[1], match[2])
            theirs = f"{match[1]}.self_attention.query_key_value.{match[2]}"
        elif re.search(r"self_attn\.[kv]_proj", name):
            continue
        for ours, original in names.items():
            theirs = theirs.replace(ours, original)
        tensors[f"transformer.{theirs}"] = tensor.clone()
    config = {
        "model_type": "chatglm",
        "architectures": ["ChatGLMModel"],
        "auto_map": {"AutoModelForCausalLM": "modeling_chatglm.ChatGLMForConditionalGeneration"},
        "add_bias_linear": False,
        "add_qkv_bias": True,
        "apply_residual_connection_post_layernorm": False,
        "ffn_hidden_size": 56,
        "fp32_residual_connection": False,
        "hidden_size": 40,
        "kv_channels": 8,
        "layernorm_epsilon": 3e-5,
        "multi_query_attention": True,
        "multi_query_group_num": 3,
        "num_attention_heads": 6,
        "num_layers": 3,
        "original_rope": True,
        "padded_vocab_size": 1028,
        "post_layer_norm": True,
        "rmsnorm": True,
        "seq_length": 2048,
        "tie_word_embeddings": False,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    tokenizer_config = {
        "tokenizer_class": "ChatGLMTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_chatglm.ChatGLMTokenizer", None]},
    }
    tokenizer_model = trained(sample_sentences[:30], 1000, "identity", [])
    return Original(config, tensors, model, tokenizer_config, tokenizer_model)


@pytest.fixture(scope="session")
def baichuan(sample_sentences: list[str]) -> Original:
    """Three heads, five layers, an epsilon of its own."""
    import torch
    from transformers import LlamaConfig

    sizes: dict[str, Any] = {
        "vocab_size": 1044,
        "hidden_size": 36,
        "intermediate_size": 52,
        "num_hidden_layers": 5,
        "num_attention_heads": 3,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 2e-5,
    }
    model = randomised(
        "LlamaForCausalLM",
        LlamaConfig(**sizes, initializer_range=0.25, tie_word_embeddings=False),
    )
    state = model.state_dict()
    tensors: dict[str, Any] = {}
    for name, tensor in state.items():
        theirs = name
        if match := re.fullmatch(r"(.+)\.self_attn\.q_proj\.weight", name):
            tensor = fused(state, match[1], "weight")
            theirs = f"{match[1]}.self_attn.W_pack.weight"
            tensors[f"{match[1]}.self_attn.rotary_emb.inv_freq"] = torch.ones(6)
        elif re.search(r"self_attn\.[kv]_proj", name):
            continue
        tensors[theirs] = tensor.clone()
    config = {
        **sizes,
        "model_type": "baichuan",
        "architectures": ["BaiChuanForCausalLM"],
        "auto_map": {"AutoModelForCausalLM": "modeling_baichuan.BaiChuanForCausalLM"},
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }
    tokenizer_config = {
        "tokenizer_class": "BaiChuanTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_baichuan.BaiChuanTokenizer", None]},
        "add_bos_token": False,
        "add_eos_token": False,
        "eos_token": {"__type": "AddedToken", "content": "</s>", "lstrip": False},
        "clean_up_tokenization_spaces": False,
    }
    tokenizer_model = trained(sample_sentences[:30], 1040, "nmt_nfkc", ["\n", "\t"])
    return Original(config, tensors, model, tokenizer_config, tokenizer_model)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CHMED_NER_CACHE", str(folder))
    return folder
