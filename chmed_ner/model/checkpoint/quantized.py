"""4- and 8-bit weights by bitsandbytes, which is imported only when they are asked for."""

import importlib
import importlib.metadata
import importlib.util
import logging
import warnings
from typing import Any

from chmed_ner.errors import InputError

KINDS = ("none", "nf4", "int8")


def check_kind(kind: str, key: str = "backbone.quantization") -> None:
    """InputError for a kind that does not exist, or one that needs a package that is not here."""
    if kind not in KINDS:
        raise InputError(f"{key}={kind!r}: choose one of {', '.join(KINDS)}")
    if kind != "none" and importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(
            f"{key}={kind}: the package bitsandbytes is not installed; "
            'pip install "chmed-ner[quantized]"'
        )


def quantization_config(kind: str, precision: Any) -> Any:
    """transformers' settings for weights of `kind`, multiplied in `precision`; None for `none`.

    `nf4` is QLoRA's (Dettmers et al. 2023): 4-bit NormalFloat in blocks of 64, the blocks' scales
    quantised once more. `int8` is LLM.int8 (Dettmers et al. 2022): columns of the input with values
    above 6 are multiplied in 16 bits. Embeddings and output head keep their precision. InputError
    when bitsandbytes is absent or cannot be imported.
    """
    check_kind(kind)
    if kind == "none":
        return None
    _import_bitsandbytes(kind)
    from transformers import BitsAndBytesConfig as Settings

    if kind == "int8":
        return Settings(load_in_8bit=True)  # type: ignore[no-untyped-call]
    return Settings(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=precision,
    )


def _import_bitsandbytes(kind: str) -> None:
    """Import it without its advice on a hub's kernels, and on casts that are its method."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="MatMul8bitLt: inputs will be cast")
    try:
        importlib.import_module("bitsandbytes")
    except Exception as error:  # its compiled library fails in many ways
        version = importlib.metadata.version("bitsandbytes")
        raise InputError(
            f"backbone.quantization={kind}: bitsandbytes {version} cannot be imported ({error}); "
            'pip install --upgrade "chmed-ner[quantized]", or use backbone.quantization=none'
        ) from error


def keep_layout(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights of `model` when they are first read on a CPU.

    On CPUs with AVX512-BF16 it would, in evaluation mode, round the blocks' scales to bfloat16 in
    place, so that scoring an epoch changes the model that is trained on; and it fails where a width
    is no multiple of 64 (bitsandbytes 0.50, `_convert_weight_packed_for_cpu`).
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def kind_of(model: Any) -> str:
    """The kind of a loaded model's weights: `none`, `nf4` or `int8`."""
    if getattr(model, "is_loaded_in_4bit", False):
        return "nf4"
    return "int8" if getattr(model, "is_loaded_in_8bit", False) else "none"


def weight_bytes(model: Any) -> int:
    """The memory of a model's weights in bytes, scales of quantised blocks included."""
    total = 0
    for parameter in model.parameters():
        total += parameter.numel() * parameter.element_size()
        state = getattr(parameter, "quant_state", None)
        if state is not None:  # absmax, code and, quantised once more, those of the scales
            tensors = [state.absmax, state.code]
            if getattr(state, "state2", None) is not None:
                tensors += [state.state2.absmax, state.state2.code]
            total += sum(each.numel() * each.element_size() for each in tensors)
        scales = getattr(parameter, "SCB", None)
        if scales is not None:
            total += scales.numel() * scales.element_size()
    return total
