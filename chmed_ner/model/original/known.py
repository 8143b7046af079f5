"""Which original layout a config.json describes."""

import json
from pathlib import Path

from chmed_ner.errors import InputError
from chmed_ner.model.original.layout import Config, Layout


def layout_of(config: Config, where: str) -> Layout | None:
    """The layout of a checkpoint with this config.json, None for transformers' own layouts.

    `where` names the checkpoint in messages. Raises InputError for a model that only looks like a
    supported one: it shares the `model_type`, but computes something else.
    """
    from chmed_ner.model.original import baichuan, chatglm2

    layout = {"chatglm": chatglm2.LAYOUT, "baichuan": baichuan.LAYOUT}.get(
        str(config.get("model_type"))
    )
    reason = layout.refusal(config, where) if layout else None
    if reason:
        raise InputError(f"backbone.path={where}: {reason}")
    return layout


def refuse_look_alikes(folder: Path) -> None:
    """InputError when the checkpoint in `folder` only looks like a supported one; light to ask."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # its loader says so
        return
    if isinstance(config, dict):
        layout_of(config, str(folder))
