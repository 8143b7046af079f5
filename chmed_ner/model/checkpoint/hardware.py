"""The devices and the precision of a model, 4- and 8-bit weights by bitsandbytes included."""

import importlib
import importlib.metadata
import importlib.util
import logging
import os
import warnings
from typing import Any

from chmed_ner.errors import InputError

DTYPES = ("auto", "bfloat16", "float16", "float32")
QUANTIZATIONS = ("none", "nf4", "int8")
SPLIT = "split"
"""The `backbone.device` of layers spread over all GPUs. One computes at a time: this buys memory,
not speed."""


def torch_device(device: str) -> Any:
    """The torch device of a `device` setting; `auto` is CUDA when there is one, else the CPU."""
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda"):
        raise InputError(
            f"backbone.device={device!r}: give auto, cpu, cuda or cuda:N (or, for a "
            "local language model, split)"
        )
    count = torch.cuda.device_count()
    if chosen.type == "cuda" and (chosen.index or 0) >= count:
        raise InputError(
            f"backbone.device={device!r}: torch sees {count} CUDA devices; use device=cpu or auto"
        )
    return chosen


def torch_dtype(dtype: str, device: Any) -> Any:
    """The torch precision of a `dtype` setting; `auto` is bfloat16 where the hardware multiplies
    it natively (AMX or AVX512-BF16 on a CPU), else float32."""
    import torch

    if dtype not in DTYPES:
        raise InputError(f"backbone.dtype={dtype!r}: choose one of {', '.join(DTYPES)}")
    if dtype != "auto":
        return getattr(torch, dtype)
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def quiet_hub() -> None:
    """Switch off the hub's telemetry, and transformers' progress bars and advice."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def check_split() -> None:
    """InputError: there are not several GPUs."""
    import torch

    count = torch.cuda.device_count()
    if count < 2:
        raise InputError(
            f"backbone.device=split: torch sees {count} CUDA devices, and splitting takes two or "
            "more; use device=auto, and backbone.quantization=nf4 if memory is short"
        )


def is_split(model: Any) -> bool:
    """Are the layers of `model` on several devices?"""
    places = getattr(model, "hf_device_map", None) or {}
    return len(set(map(str, places.values()))) > 1


def refuse_offloaded(model: Any, path_or_id: Any) -> None:
    """InputError: some weights of `model` are not on a GPU."""
    if any(weight.device.type != "cuda" for weight in model.parameters()):
        raise too_large(path_or_id)


def too_large(path_or_id: Any) -> InputError:
    """The GPUs together do not hold the model."""
    return InputError(
        f"backbone.path={path_or_id}: the GPUs together do not hold it, and weights are not "
        "offloaded; take more GPUs, or backbone.quantization=nf4 (regime=qlora to tune it)"
    )


def check_kind(kind: str, key: str = "backbone.quantization") -> None:
    """InputError: there is no such kind, or the package that it needs is not installed."""
    if kind not in QUANTIZATIONS:
        raise InputError(f"{key}={kind!r}: choose one of {', '.join(QUANTIZATIONS)}")
    if kind != "none" and importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(
            f"{key}={kind}: the package bitsandbytes is not installed; "
            'pip install "chmed-ner[quantized]"'
        )


def quantization_config(kind: str, precision: Any) -> Any:
    """transformers' settings for weights of `kind`, multiplied in `precision`; None for `none`.

    `nf4` is QLoRA's (Dettmers et al. 2023): 4-bit NormalFloat in blocks of 64, the blocks' scales
    quantised once more; `int8` is LLM.int8 (Dettmers et al. 2022). Embeddings and output head keep
    their precision. InputError: bitsandbytes is absent or cannot be imported.
    """
    check_kind(kind)
    if kind == "none":
        return None
    # bitsandbytes' advice on a hub's kernels, and on casts that are its method
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
    from transformers import BitsAndBytesConfig as Settings

    if kind == "int8":
        return Settings(load_in_8bit=True)  # type: ignore[no-untyped-call]
    return Settings(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=precision,
    )


def keep_layout(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights of `model` when they are first read on a CPU.

    In evaluation mode on AVX512-BF16 it would round the blocks' scales in place, also of a model
    that is trained on, and fails where a width is no multiple of 64 (bitsandbytes 0.50).
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
    tensors = []
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)  # its scales are quantised once more
        for each in (state, getattr(state, "state2", None)):
            tensors += [] if each is None else [each.absmax, each.code]
        scales = getattr(parameter, "SCB", None)
        tensors += [parameter] if scales is None else [parameter, scales]
    return sum(each.numel() * each.element_size() for each in tensors)
