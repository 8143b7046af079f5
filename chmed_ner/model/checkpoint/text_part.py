"""The language model inside a checkpoint that also sees or hears, such as Gemma 3 4B."""

from pathlib import Path
from typing import Any

KEYS = {
    r"^model\.language_model\.": "model.",
    r"^language_model\.model\.": "model.",
    r"^language_model\.lm_head\.": "lm_head.",
}
"""Names of the text part's weights in such a checkpoint, of transformers' layouts before and since
version 4.52, and in a model of text alone."""


def text_part(weights: str | Path, revision: str | None) -> dict[str, Any]:
    """What `from_pretrained` needs to be told to load the text part alone; empty where that is all.

    The rest would take memory, and `all-linear` adapters that never see an input. Raises what
    transformers raises for a configuration that it cannot read.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    config = AutoConfig.from_pretrained(
        weights,
        revision=revision,
        trust_remote_code=False,
        local_files_only=Path(weights).is_dir(),
    )
    text = getattr(config, "text_config", None)
    if type(text) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return {}
    return {"config": text, "key_mapping": KEYS}


def forget_origin(model: Any) -> None:
    """Let `save_pretrained` write the text part as the model of text that it is.

    transformers would undo the renaming, and write weights that do not fit the configuration.
    """
    model._weight_conversions = None
