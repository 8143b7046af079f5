"""Checkpoints -> a transformers model and its tokenizer. Nobody's code is executed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.hardware import quiet_hub, torch_device, torch_dtype
from chmed_ner.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_causal_lm(
    path_or_id: str | Path,
    *,
    dtype: str = "auto",
    device: str = "auto",
    attention: str = "sdpa",
    revision: str | None = None,
) -> tuple["PreTrainedModel", Any]:
    """The model in evaluation mode on its device, and its tokenizer.

    `path_or_id` is a local folder, or a hub id when no such folder exists. Raises InputError when
    there is neither, when the checkpoint needs its own code, or when weights are not safetensors.
    """
    quiet_hub()
    from transformers import AutoModelForCausalLM

    place = torch_device(device)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path_or_id,
            dtype=torch_dtype(dtype, place),
            attn_implementation=attention,
            revision=revision,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=Path(path_or_id).is_dir(),
        )
    except (OSError, ValueError, ImportError) as error:
        raise _unloadable(path_or_id, error) from error
    model.to(place).eval()
    return model, load_tokenizer(path_or_id, revision=revision)


def load_tokenizer(path_or_id: str | Path, *, revision: str | None = None) -> Any:
    """The tokenizer from the tokenizer files alone; it pads on the left. InputError if absent."""
    quiet_hub()
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            path_or_id,
            revision=revision,
            trust_remote_code=False,
            local_files_only=Path(path_or_id).is_dir(),
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise _unloadable(path_or_id, error) from error
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _unloadable(path_or_id: str | Path, error: Exception) -> InputError:
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return InputError(
        f"backbone.path={path_or_id}: cannot be loaded ({first_line}); give a folder with "
        "config.json, safetensors weights and tokenizer files, or the id of a model on the hub"
    )
