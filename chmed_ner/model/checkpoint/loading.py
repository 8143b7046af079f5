"""Checkpoints -> a transformers model and its tokenizer. Nobody's code is executed."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.errors import InputError, first_line
from chmed_ner.model.checkpoint.hardware import (
    SPLIT,
    check_split,
    keep_layout,
    kind_of,
    quantization_config,
    quiet_hub,
    refuse_offloaded,
    too_large,
    torch_device,
    torch_dtype,
)
from chmed_ner.model.hub import MIRROR, why_away

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CURE = (
    "give a folder with config.json, safetensors weights (pickled .bin files are read only in the "
    "original layouts of ChatGLM2-6B and Baichuan-7B) and tokenizer files, or the id of a model on "
    "the hub"
)
_TEXT_PART = {
    r"^model\.language_model\.": "model.",
    r"^language_model\.model\.": "model.",
    r"^language_model\.lm_head\.": "lm_head.",
}
"""Names of the text part's weights in a checkpoint that also sees or hears, of transformers'
layouts before and since version 4.52, and in a model of text alone."""

_CONSTANT = re.compile(r"\.(masked_bias|inv_freq|position_ids|token_type_ids)$")


def load_causal_lm(
    path_or_id: str | Path, *, revision: str | None = None, **how: Any
) -> tuple["PreTrainedModel", Any]:
    """The model and its tokenizer; `how` as for `load_model`: `dtype="float32", device="cpu"`."""
    model = load_model(path_or_id, revision=revision, **how)
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
    """The model of a local folder or hub id, in evaluation mode on its device, or over all GPUs.

    ChatGLM2-6B and Baichuan-7B in their original layouts are converted once, into `cache`. Of a
    checkpoint that also sees or hears only the text part is loaded. InputError: no checkpoint, one
    that needs its own code, or weights that are broken, pickled, missing, or quantised already.
    """
    if device == SPLIT:
        check_split()
    place = torch_device("cuda" if device == SPLIT else device)
    precision = torch_dtype(dtype, place)
    how: dict[str, Any] = {"dtype": precision, "attn_implementation": attention}
    quantized = quantization_config(quantization, precision)
    if quantized is not None:
        how["quantization_config"] = quantized
    if device == SPLIT or quantized is not None:
        how["device_map"] = "auto" if device == SPLIT else {"": place}
    weights = transformers_checkpoint(path_or_id, revision=revision, cache=cache)
    model: PreTrainedModel
    model, missing = _read_weights("AutoModelForCausalLM", weights, revision, how)
    if missing:  # transformers would go on with random numbers in their place
        raise InputError(
            f"backbone.path={path_or_id}: {len(missing)} weights are missing, such "
            f"as {min(missing)}; the weights do not fit config.json, or are not "
            "those of a causal language model"
        )
    if device == SPLIT:
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


def load_encoder(
    path_or_id: str | Path, *, dtype: str, device: str, attention: str, revision: str | None
) -> Any:
    """The encoder in evaluation mode, without pooler or head; InputError: no checkpoint of one."""
    place = torch_device(device)
    how = {"dtype": torch_dtype(dtype, place), "attn_implementation": attention}
    model, missing = _read_weights("AutoModel", path_or_id, revision, how)
    missing = {name for name in missing if "pooler" not in name}
    if missing or model.config.is_encoder_decoder:
        what = f"weights such as {min(missing)} are missing" if missing else "it has a decoder"
        raise InputError(
            f"backbone.path={path_or_id}: not a checkpoint of an encoder ({what}); give one of the "
            "BERT family"
        )
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model.to(place).eval()


def _read_weights(
    auto_class: str, weights: str | Path, revision: str | None, how: dict[str, Any]
) -> tuple[Any, set[str]]:
    """A model by one of transformers' automatic classes, and the names of the weights it lacks."""
    source = _source(weights, revision)
    import transformers

    automatic = getattr(transformers, auto_class)
    try:
        part = _text_part(weights, source) if auto_class == "AutoModelForCausalLM" else {}
        model, report = automatic.from_pretrained(
            weights, use_safetensors=True, output_loading_info=True, **source, **how, **part
        )
    except Exception as error:  # a broken checkpoint fails in as many ways as it has parts
        raise _unloadable(weights, error) from error
    if surplus := _surplus(model, report["unexpected_keys"]):
        raise InputError(
            f"backbone.path={weights}: {len(surplus)} weights have no place in the model of "
            f"config.json, such as {min(surplus)}; the weights do not fit config.json (another "
            "number of layers?), so bring the model's own back"
        )
    if part:  # else `save_pretrained` undoes the renaming: weights that do not fit the config
        model._weight_conversions = None
    return model, set(report["missing_keys"])


def _surplus(model: Any, unexpected: Iterable[str]) -> set[str]:
    """Weights for parts that `model` has, in which they have no place; heads, towers and adapters
    of other kinds do not count, nor does what older versions of a model kept as constants."""
    prefix = f"{model.base_model_prefix}."
    children = {name.removeprefix(prefix).partition(".")[0] for name, _ in model.named_modules()}
    return {
        name
        for name in unexpected
        if name.removeprefix(prefix).partition(".")[0] in children and not _CONSTANT.search(name)
    }


def _source(path_or_id: str | Path, revision: str | None) -> dict[str, Any]:
    """What every `from_pretrained` gets."""
    quiet_hub()
    why_away(path_or_id)
    local = Path(path_or_id).is_dir()
    return {"revision": revision, "trust_remote_code": False, "local_files_only": local}


def _text_part(weights: str | Path, source: dict[str, Any]) -> dict[str, Any]:
    """What `from_pretrained` needs to load only the text part of a checkpoint that also sees or
    hears (Gemma 3 4B, say): the rest takes memory, and adapters that never see an input."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    text = getattr(AutoConfig.from_pretrained(weights, **source), "text_config", None)
    if type(text) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return {}
    return {"config": text, "key_mapping": _TEXT_PART}


def transformers_checkpoint(
    path_or_id: str | Path, *, revision: str | None = None, cache: str | None = None
) -> str | Path:
    """`path_or_id` itself, or the converted copy of a checkpoint in an original layout."""
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

    InputError: it is absent, has no end token, or would be another one than the checkpoint's.
    """
    from chmed_ner.model.original.known import original_tokenizer, refuse_inexact

    quiet_hub()
    tokenizer = original_tokenizer(path_or_id, revision)
    if tokenizer is not None:
        return tokenizer
    tokenizer = load_encoder_tokenizer(path_or_id, revision=revision)
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


def load_encoder_tokenizer(path_or_id: str | Path, *, revision: str | None) -> Any:
    """The tokenizer as transformers makes it from the files alone; InputError: it is absent."""
    source = _source(path_or_id, revision)
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path_or_id, **source)
    except Exception as error:  # as above
        raise _unloadable(path_or_id, error) from error


def _unloadable(path_or_id: str | Path, error: Exception) -> InputError:
    if re.search("dispatched on the CPU or the disk|offload_folder", str(error)):
        return too_large(path_or_id)
    reason = first_line(error)
    if re.search("attn_implementation|attention implementation|Flash ?Attention", reason):
        return InputError(
            f"backbone.attention: {reason} Every model takes backbone.attention=eager"
        )
    cure = f"{away}: {MIRROR}, or {_CURE}" if (away := why_away(path_or_id)) else _CURE
    return InputError(f"backbone.path={path_or_id}: cannot be loaded ({reason}); {cure}")
