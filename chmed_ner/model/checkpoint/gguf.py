"""A GGUF file unpacked once to bfloat16 safetensors, with its tokenizer and chat template.

transformers unpacks it. What it leaves out without a word is put back here (the rotary scaling of
Llama 3.1 and of Gemma 3) or refused, and one matrix that the file has twice, as embedding and as
output head, is one again.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError, first_line
from chmed_ner.files import sha256_of
from chmed_ner.model.checkpoint.hardware import quiet_hub
from chmed_ner.model.original.converted import cache_folder, converted_once
from chmed_ner.model.original.known import TRIED

CONVERSION = 1
"""Raised when the conversion changes, so that an old copy is not taken for a new one."""
SIGNIFICANT = {"F64": 53, "F32": 24, "F16": 11, "BF16": 8}
"""The bits of a number's significand; a block of whole numbers has as many as it stores for one."""
END_OF_TEXT = "<|endoftext|>"
"""The end of a text in the vocabularies of Qwen and Phi, whose GGUF files name the turn's end only;
their own generation_config.json lists both."""
LLAMA3 = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
"""The rotary scaling of Llama 3.1 and later; a file holds what comes of it, in `rope_freqs`."""
ROWS = 8192

log = logging.getLogger(__name__)


def gguf_directory(
    bring: Callable[[Path], Path], name: str, sha256: str, *, tied: bool, cache: str | None
) -> Path:
    """The converted copy of the GGUF file `name`, made in `cache` if it is not there; `bring`
    finds or makes the file, given a folder for what is needed once.

    InputError: it is not the file of this SHA-256, is broken, of an architecture that transformers
    does not read, or holds what the model of its architecture has no place for; `tied`, and its
    output head is another matrix than its embedding.
    """
    kind = "" if tied else "-untied"
    copy = f"{Path(name).stem}-{sha256[:16]}{kind}-v{CONVERSION}"

    def convert(folder: Path) -> None:
        log.info("converting %s for the first use (a minute or two)", name)
        file = bring(folder)
        check_sha256(file, sha256)
        alone = folder / name  # transformers reads a tokenizer.json beside the file, too
        if file != alone:
            alone.symlink_to(file)
        _unpack(file, folder, tied)
        alone.unlink()

    return converted_once(
        cache_folder(cache, "converted") / copy, convert, "has room for two bytes a parameter"
    )


def check_sha256(file: Path, expected: str | None) -> str:
    """The file's SHA-256; InputError: it is not the `expected` one, or there is no such file."""
    try:
        found = sha256_of(file)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    if expected not in (None, found):
        raise InputError(
            f"{file}: SHA-256 is {found}, expected {expected} (backbone.sha256): the file is "
            "broken or another one; fetch it again"
        )
    return found


def _unpack(file: Path, folder: Path, tied: bool) -> None:
    """Write the checkpoint that `file` holds into `folder`, where it is or has a link."""
    quiet_hub()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    reader, tensors = _read(file)
    embedding, head = tensors.get("token_embd.weight"), tensors.pop("output.weight", None)
    tie = tied and embedding is not None and head is not None
    head_is_finer = tie and _is_finer(head, embedding, file)
    where: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    automatic: Any = AutoModelForCausalLM
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **where)
        model, report = automatic.from_pretrained(
            folder,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True,
            **where,
        )
    except Exception as error:  # it fails in as many ways as there are files
        raise _refused(reader, file, first_line(error)) from error
    _scale_rotary(model.config, reader, tensors)
    _check_complete(model, report["missing_keys"], reader, tensors, file)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    if tie:
        if head_is_finer:
            model.get_input_embeddings().weight = model.get_output_embeddings().weight
        model.get_output_embeddings().weight = model.get_input_embeddings().weight
        model.config.tie_word_embeddings = True
    rows = len(model.get_input_embeddings().weight)  # a class may add the token to its tokenizer
    if (end := tokenizer.get_vocab().get(END_OF_TEXT, rows)) < rows:
        model.generation_config.eos_token_id = sorted({tokenizer.eos_token_id, end} - {None})
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    written = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if any(written.encode(text) != tokenizer.encode(text) for text in TRIED):
        raise _refused(reader, file, "its tokenizer is not the one of the architecture")


def _read(file: Path) -> tuple[Any, dict[str, Any]]:
    """The file's reader, and its tensors by name, still packed; InputError: it is no whole file."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(file)
        reader.fields["general.architecture"].contents()
    except Exception as error:  # a cut file ends in the middle of anything
        raise InputError(
            f"{file}: not a GGUF file, or one that was cut short ({first_line(error)}); fetch it "
            "again"
        ) from error
    return reader, {tensor.name: tensor for tensor in reader.tensors}


def _refused(reader: Any, file: Path, reason: str) -> InputError:
    architecture = reader.fields["general.architecture"].contents()
    return InputError(
        f"{file}: a GGUF file of the architecture {architecture} that transformers does not read "
        f"({reason}); give the model's own checkpoint (backbone=causal_lm), or another file"
    )


def _check_complete(
    model: Any, missing: set[str], reader: Any, tensors: dict[str, Any], file: Path
) -> None:
    """InputError: weights are missing, or something in the file, its output head apart, has no
    place in `model`: transformers' reader leaves it out without a word."""
    if missing:
        raise _refused(reader, file, f"weights such as {min(missing)} are missing")
    head = model.get_output_embeddings().weight
    places = {weight for weight in model.parameters() if weight is not head}
    if head is model.get_input_embeddings().weight:
        places.add(head)
    held = sum(int(tensor.n_elements) for tensor in tensors.values())
    if surplus := held - sum(weight.numel() for weight in places):
        loose = min(tensors, key=lambda name: (name.startswith("blk."), tensors[name].n_elements))
        raise _refused(reader, file, f"{surplus} numbers have no place, perhaps {loose}")
    factor = _field(reader, "rope.scaling.factor")
    known = getattr(model.config, "rope_parameters", None)
    if factor not in (None, 1) and "'factor'" not in str(known):
        raise _refused(reader, file, f"its rotary scaling by {factor:g} is left out")


def _scale_rotary(config: Any, reader: Any, tensors: dict[str, Any]) -> None:
    """Put the file's rotary scaling into `config` where it is one that transformers computes; its
    factors are then taken out of `tensors`."""
    import torch
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    plain = getattr(config, "rope_parameters", None)
    if plain and "rope_theta" in plain and "rope_freqs.weight" in tensors:
        factors = torch.from_numpy(tensors["rope_freqs.weight"].data.copy())
        config.rope_parameters = {**plain, **LLAMA3, "factor": float(factors.max())}
        steps = torch.arange(len(factors)) / len(factors)
        scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
        if torch.allclose(scaled * factors, plain["rope_theta"] ** -steps, rtol=1e-4):
            del tensors["rope_freqs.weight"]
        else:
            config.rope_parameters = plain
    if plain and _field(reader, "rope.scaling.type") == "linear":  # Gemma 3: of whole attention
        scaling = plain.get("full_attention", plain)
        scaling |= {"rope_type": "linear", "factor": _field(reader, "rope.scaling.factor")}


def _field(reader: Any, name: str) -> Any:
    """What the file says of its architecture's `name`; None if nothing."""
    architecture = reader.fields["general.architecture"].contents()
    field = reader.fields.get(f"{architecture}.{name}")
    return None if field is None else field.contents()


def _is_finer(head: Any, embedding: Any, file: Path) -> bool:
    """Has the output head more bits than the embedding?

    InputError: they are not one matrix at two precisions. Rounding to so many bits moves a row by
    1.2 to 2 times 2^-bits of its length (measured: Q5_0, Q4_K); 3 times is allowed.
    """
    import numpy as np
    from gguf import dequantize

    bits = min(_bits(head), _bits(embedding))
    away = 0.0
    if (shapes := (head.data.shape[0], embedding.data.shape[0]))[0] == shapes[1]:
        for start in range(0, shapes[0], ROWS):
            ours, theirs = (
                dequantize(each.data[start : start + ROWS], each.tensor_type)
                for each in (head, embedding)
            )
            lengths = np.linalg.norm(ours, axis=1) + np.finfo(np.float32).tiny
            away = max(away, float((np.linalg.norm(ours - theirs, axis=1) / lengths).max()))
    if shapes[0] != shapes[1] or not away <= 3 * 2.0**-bits:
        kinds = f"{head.tensor_type.name} and {embedding.tensor_type.name}"
        raise InputError(
            f"{file}: its output head is not its embedding at another precision ({kinds}; a row is "
            f"{away:.0%} of its length away); if the model has a head of its own, "
            "backbone.tied=false"
        )
    return bool(_bits(head) > _bits(embedding))


def _bits(tensor: Any) -> int:
    """How many significant bits a number of `tensor` has."""
    from gguf import GGML_QUANT_SIZES

    numbers, size = GGML_QUANT_SIZES[tensor.tensor_type]
    return SIGNIFICANT.get(tensor.tensor_type.name) or int(8 * size // numbers)
