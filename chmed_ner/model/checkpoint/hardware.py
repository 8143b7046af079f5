"""The devices and the precision of a model: what `auto` means, and layers split over GPUs.

Split over all GPUs, tokens pass from one to the next, so that one computes at a time: this buys
memory, not speed.
"""

import os
import warnings
from typing import Any

from chmed_ner.errors import InputError

DTYPES = ("auto", "bfloat16", "float16", "float32")
SPLIT = "split"
"""The value of `backbone.device` that asks for several GPUs."""


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
    """The torch precision of a `dtype` setting.

    `auto` is bfloat16 where the hardware multiplies it natively (AMX or AVX512-BF16 on a CPU),
    else float32.
    """
    import torch

    if dtype not in DTYPES:
        raise InputError(f"backbone.dtype={dtype!r}: choose one of {', '.join(DTYPES)}")
    if dtype != "auto":
        return getattr(torch, dtype)
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported()
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def quiet_hub() -> None:
    """Switch the hub's telemetry, and transformers' progress bars and advice, off."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def check_split() -> None:
    """InputError when there are not several GPUs."""
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
    """InputError when some weights of `model` are not on a GPU."""
    elsewhere = {weight.device.type for weight in model.parameters()} - {"cuda"}
    if elsewhere:
        raise too_large(path_or_id)


def too_large(path_or_id: Any) -> InputError:
    """The GPUs together do not hold the model."""
    return InputError(
        f"backbone.path={path_or_id}: the GPUs together do not hold it, and weights are not "
        "offloaded; take more GPUs, or backbone.quantization=nf4 (regime=qlora to tune it)"
    )


def is_offloading(message: str) -> bool:
    """Does a library's error say that weights would not all be on a GPU?"""
    return "dispatched on the CPU or the disk" in message or "offload_folder" in message
