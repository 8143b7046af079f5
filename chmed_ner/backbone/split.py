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
    return len(set(map(str, _places(model)))) > 1


def refuse_offloaded(model: Any, path_or_id: Any) -> None:
    """InputError when the GPUs together did not hold `model`, and some of it lies elsewhere."""
    elsewhere = {str(place) for place in _places(model)} & {"cpu", "disk"}
    if elsewhere:
        raise InputError(
            f"backbone.path={path_or_id}: the GPUs together do not hold it (the rest would lie on "
            f"{' and '.join(sorted(elsewhere))}); use backbone.quantization=nf4, or more GPUs"
        )


def _places(model: Any) -> list[Any]:
    return list((getattr(model, "hf_device_map", None) or {}).values())
