"""Tokenizers and models of the kinds that constrained decoding must know."""

from pathlib import Path
from typing import Any

import pytest

NAMES = ("身体", "症状", "医疗器材", "检验", "化学物质", "疾病", "药品", "营养品", "治疗", "时间")


@pytest.fixture(scope="session")
def spaced_tokenizer(sample_sentences: list[str]) -> Any:
    """SentencePiece's kind: spaces are `▁`, one is put in front, bytes stand in for rare signs.

    It has learnt on answers, so that some tokens span a mention's end, a category or a line end.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    texts = sample_sentences[:40] + [
        f"{text[at : at + 2]}-{name}\n{text[:3]}"
        for text in sample_sentences[:8]
        for at, name in enumerate(NAMES)
    ]
    learnt = Tokenizer(models.BPE())
    learnt.train_from_iterator(
        [f"▁{text}".replace(" ", "▁") for text in texts],
        trainers.BpeTrainer(vocab_size=900, show_progress=False, special_tokens=[]),
    )
    import json

    model = json.loads(learnt.to_str())["model"]
    specials = ["<unk>", "<s>", "</s>"]
    names = [*specials, *(f"<0x{byte:02X}>" for byte in range(256))]
    names += [name for name in model["vocab"] if name not in names and name != "-\n"]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={name: at for at, name in enumerate(names)},
            merges=[tuple(pair) for pair in model["merges"]],
            unk_token="<unk>",
            byte_fallback=True,
            fuse_unk=True,
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="</s>",
        bos_token="<s>",
        unk_token="<unk>",
        pad_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


@pytest.fixture(scope="session")
def spaced_llama(spaced_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama with that tokenizer."""
    return a_llama(spaced_tokenizer, tmp_path_factory.mktemp("checkpoints") / "spaced_llama")


@pytest.fixture(scope="session")
def normalising_llama(spaced_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a tokenizer that reads `（` as `(` and `℃` as `°C`, as Baichuan's does."""
    from tokenizers import normalizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(spaced_llama)
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    return a_llama(tokenizer, tmp_path_factory.mktemp("checkpoints") / "normalising_llama")


def a_llama(tokenizer: Any, folder: Path) -> Path:
    """`folder`, with a small random Llama and `tokenizer` in it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        initializer_range=0.15,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
