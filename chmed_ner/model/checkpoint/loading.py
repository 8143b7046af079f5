"""Checkpoints -> a transformers model and its tokenizer. Nobody's code is executed."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.errors import InputError
from chmed_ner.model.checkpoint.converted_tokenizer import refuse_inexact
from chmed_ner.model.checkpoint.hardware import quiet_hub, torch_device, torch_dtype
from chmed_ner.model.checkpoint.quantized import keep_layout, kind_of, quantization_config
from chmed_ner.model.checkpoint.split import (
    SPLIT,
    check_split,
    is_offloading,
    refuse_offloaded,
    too_large,
)
from chmed_ner.model.checkpoint.text_part import forget_origin, text_part

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CURE = (
    "give a folder with config.json, safetensors weights (pickled .bin files are read only in the "
    "original layouts of ChatGLM2-6B and Baichuan-7B) and tokenizer files, or the id of a model on "
    "the hub"
)


def load_causal_lm(
    path_or_id: str | Path,
    *,
    dtype: str = "auto",
    device: str = "auto",
    attention: str = "sdpa",
    revision: str | None = None,
    cache: str | None = None,
    quantization: str = "none",
) -> tuple["PreTrainedModel", Any]:
    """The model in evaluation mode on its device, and its tokenizer; see `load_model`."""
    model = load_model(
        path_or_id,
        dtype=dtype,
        device=device,
        attention=attention,
        revision=revision,
        cache=cache,
        quantization=quantization,
    )
    return model, load_tokenizer(path_or_id, revision=revision)


def load_model(
    path_or_id: str | Path,
    *,
    dtype: str = "auto",
    device: str = "auto",
    attention: str = "sdpa",
    revision: str | None = None,
    cache: str | None = None,
    quantization: str = "none",
) -> "PreTrainedModel":
    """The model in evaluation mode on its device, or over all GPUs with `device=split`.

    `path_or_id` is a local folder, or a hub id when no such folder exists. ChatGLM2-6B and
    Baichuan-7B in their original layouts are converted first, once, under `cache` (default: the
    user's cache directory). With a `quantization` (nf4, int8) linear layers are quantised as they
    are read, and multiplied in `dtype`. A checkpoint that also sees or hears is
    loaded without that.

    Raises InputError when there is no checkpoint, when it needs its own code or only looks like a
    supported one, or when weights are broken, pickled with anything but tensors, not all there, or
    quantised in another way.
    """
    quiet_hub()
    from transformers import AutoModelForCausalLM

    split = device == SPLIT
    if split:
        check_split()
    place = torch_device("cuda" if split else device)
    precision = torch_dtype(dtype, place)
    quantized = quantization_config(quantization, precision)
    how: dict[str, Any] = {} if quantized is None else {"quantization_config": quantized}
    if split or quantized is not None:
        how["device_map"] = "auto" if split else {"": place}
    weights = transformers_checkpoint(path_or_id, revision=revision, cache=cache)
    try:
        part = text_part(weights, revision)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            weights,
            dtype=precision,
            attn_implementation=attention,
            revision=revision,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            local_files_only=Path(weights).is_dir(),
            **how,
            **part,
        )
    except Exception as error:  # a broken checkpoint fails in as many ways as it has parts
        raise _unloadable(weights, error) from error
    model: PreTrainedModel = loaded[0]
    report = loaded[1]
    if report["missing_keys"]:  # transformers would go on with random numbers in their place
        raise InputError(
            f"backbone.path={path_or_id}: {len(report['missing_keys'])} weights are missing, such "
            f"as {min(report['missing_keys'])}; the weights do not fit config.json, or are not "
            "those of a causal language model"
        )
    if part:
        forget_origin(model)
    if split:
        refuse_offloaded(model, path_or_id)
    elif quantized is None:
        model.to(place)
    keep_layout(model)
    if kind_of(model) != quantization:  # a checkpoint that is quantised already, or by other means
        raise InputError(
            f"backbone.path={path_or_id}: these weights are quantised already, as "
            f"{kind_of(model)}; backbone.quantization={quantization} needs the checkpoint in full "
            "precision, or say what it is"
        )
    model.eval()  # type: ignore[no-untyped-call]
    return model


def transformers_checkpoint(
    path_or_id: str | Path, *, revision: str | None = None, cache: str | None = None
) -> str | Path:
    """What transformers' `from_pretrained` loads for `path_or_id`, in any precision or quantised.

    That is `path_or_id` itself, or the converted copy of a checkpoint in an original layout.
    """
    from chmed_ner.model.original.known import layout_of
    from chmed_ner.model.original.source import checkpoint_folder, settings

    config = settings(path_or_id, "config.json", revision)
    layout = layout_of(config, str(path_or_id)) if config else None
    if config is None or layout is None:
        return path_or_id
    from chmed_ner.model.original.converted import converted_directory

    return converted_directory(checkpoint_folder(path_or_id, revision), layout, config, cache)


def load_tokenizer(path_or_id: str | Path, *, revision: str | None = None) -> Any:
    """The tokenizer from the tokenizer files alone; it pads on the left.

    InputError if it is absent, or would be another one than the checkpoint's. Those of ChatGLM2-6B
    and Baichuan-7B run on sentencepiece itself.
    """
    quiet_hub()
    from transformers import AutoTokenizer

    from chmed_ner.model.original.tokenizer_files import original_tokenizer

    tokenizer = original_tokenizer(path_or_id, revision)
    if tokenizer is not None:
        return tokenizer
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            path_or_id,
            revision=revision,
            trust_remote_code=False,
            local_files_only=Path(path_or_id).is_dir(),
        )
    except Exception as error:  # as above
        raise _unloadable(path_or_id, error) from error
    refuse_inexact(tokenizer, path_or_id, revision)
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"backbone.path={path_or_id}: the tokenizer has no end token; name it as eos_token in "
            "tokenizer_config.json"
        )
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _unloadable(path_or_id: str | Path, error: Exception) -> InputError:
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if is_offloading(str(error)):
        return too_large(path_or_id)
    if re.search("attn_implementation|attention implementation|Flash ?Attention", first_line):
        return InputError(
            f"backbone.attention: {first_line} Every model takes backbone.attention=eager"
        )
    return InputError(f"backbone.path={path_or_id}: cannot be loaded ({first_line}); {_CURE}")
