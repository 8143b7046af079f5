"""Is the tokenizer that transformers puts in the place of a checkpoint's own code the same?"""

from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError
from chmed_ner.model.original.source import settings, small_file

TRIED = ("头痛", "患者出现发热、咳嗽", "38.5℃", " two  words", "第1天\n无", "㎎Ⅱ（Ａ）…")
"""With and without what a normaliser or a prefix would change."""


def refuse_inexact(tokenizer: Any, path_or_id: str | Path, revision: str | None) -> None:
    """InputError when `tokenizer` is a conversion whose pieces are not sentencepiece's.

    Where a checkpoint (InternLM3, say) has a tokenizer in code of its own and no tokenizer.json,
    transformers converts its `tokenizer.model`, but leaves out the space that many of them put in
    front: the model would read other tokens than it was trained on.
    """
    from chmed_ner.model.original.sentencepiece_tokenizer import MODEL, sentencepiece_model

    config = settings(path_or_id, "tokenizer_config.json", revision) or {}
    if not config.get("auto_map") or small_file(path_or_id, "tokenizer.json", revision):
        return
    file = small_file(path_or_id, MODEL, revision)
    if file is None:
        return
    model = sentencepiece_model(file)
    for text in TRIED:
        if tokenizer.encode(text, add_special_tokens=False) != list(model.encode(text)):
            raise InputError(
                f"backbone.path={path_or_id}: its tokenizer is code of its own, and transformers' "
                f"conversion of its {MODEL} is another one (it differs on {text!r}); give a folder "
                "that also has an exact tokenizer.json, or serve the model with that code and use "
                "backbone=openai_compatible"
            )
