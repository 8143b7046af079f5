"""Where text comes from: local causal language models, and a scripted one for tests."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chmed_ner.model.checkpoint.loading import load_causal_lm, load_tokenizer

__all__ = ["load_causal_lm", "load_tokenizer"]


def __getattr__(name: str) -> Any:
    """The loading functions, imported when asked for: they bring torch with them."""
    if name in __all__:
        from chmed_ner.model.checkpoint import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
