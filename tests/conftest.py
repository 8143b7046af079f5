"""Fixtures that more than one room's tests use."""

import gc
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: a core for each worker
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["CHMED_NER_FIGURES"] = "[]"  # they are two thirds of the time of a run on the sample

gc.disable()  # until all tests are imported, which leaves no garbage

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what it puts behind `&`
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests interrupt what they start

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """From here on garbage is collected, but never again among what was imported."""
    gc.freeze()
    gc.enable()


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set")
    folder = Path(value)
    assert folder.is_dir(), f"{variable}={value} is not a folder"
    return folder


@pytest.fixture(scope="session")
def corpora_dir() -> Path:
    """The folder of the real corpora; tests that need them are skipped without it."""
    return _folder("CHMED_NER_DATA")


@pytest.fixture(scope="session")
def fixtures_dir() -> Path:
    """The folder of reference results made by other people's code."""
    return _folder("CHMED_NER_FIXTURES")


@pytest.fixture(scope="session")
def sample_sentences() -> list[str]:
    """The formal articles of the shipped corpus, as the model reads them."""
    import chmed_ner
    from chmed_ner.data.columns import read_columns
    from chmed_ner.entities.labels import Simplified, in_script

    path = Path(chmed_ner.__file__).parent / "data" / "sample" / "train_FT.txt"
    sentences = read_columns(path, prefix="FT/", split="train", genre="FT", labels=None)
    return [sentence.model_text for sentence in in_script(Simplified(), sentences)]


@pytest.fixture(scope="session")
def tiny_tokenizer(sample_sentences: list[str]) -> Any:
    """A byte-level BPE tokenizer of 512 tokens, with an end, a padding and a turn token."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=["<pad>", "<eos>", "<turn>", "</turn>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample_sentences[:60], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<eos>",
        pad_token="<pad>",
        additional_special_tokens=["<turn>", "</turn>"],
    )


def _tiny(tokenizer: Any, **changes: Any) -> dict[str, Any]:
    """The size of a tiny model; weights wide enough that no two logits are nearly equal."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 2048,
        "initializer_range": 0.15,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        **changes,
    }


def _saved(model_class: str, config: Any, tokenizer: Any, folder: Path) -> Path:
    import torch
    import transformers

    torch.manual_seed(0)
    getattr(transformers, model_class)(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_llama(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a random two-layer Llama with an untied head; no chat template."""
    from transformers import LlamaConfig

    config = LlamaConfig(**_tiny(tiny_tokenizer), tie_word_embeddings=False)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny_llama"
    return _saved("LlamaForCausalLM", config, tiny_tokenizer, folder)


@pytest.fixture(scope="session")
def tiny_gemma3(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a random two-layer Gemma 3: a window of 8 tokens, tied embeddings."""
    from transformers import Gemma3TextConfig

    config = Gemma3TextConfig(
        **_tiny(tiny_tokenizer, initializer_range=0.1),
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
        query_pre_attn_scalar=16,
        tie_word_embeddings=True,
    )
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny_gemma3"
    return _saved("Gemma3ForCausalLM", config, tiny_tokenizer, folder)


@pytest.fixture(scope="session")
def tiny_chat(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama as an instruction-tuned model: its tokenizer has a chat template."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny_chat"
    shutil.copytree(tiny_llama, folder)
    (folder / "chat_template.jinja").write_text(
        "{% for message in messages %}<turn>{{ message.role }}\n{{ message.content }}</turn>\n"
        "{% endfor %}{% if add_generation_prompt %}<turn>assistant\n{% endif %}",
        encoding="utf-8",
    )
    return folder
