"""Models that do not fit one GPU: accelerate spreads their layers over all of them.

Tokens pass from one GPU to the next, so that one computes at a time: this buys memory, not speed.
"""

from typing import Any

from chmed_ner.errors import InputError

SPLIT = "split"
"""The value of `backbone.device` that asks for it."""


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
    """Do the layers of `model` lie on several devices?"""
    places = getattr(model, "hf_device_map", None) or {}
    return len(set(map(str, places.values()))) > 1


def refuse_offloaded(model: Any, path_or_id: Any) -> None:
    """InputError when some weights of `model` lie elsewhere than on a GPU."""
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
    """Does a library's error say that weights would have to lie elsewhere than on a GPU?"""
    return "dispatched on the CPU or the disk" in message or "offload_folder" in message
