"""chmed_ner: experiments in Chinese medical named entity recognition with large language models."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chmed_ner.run import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """`load`, imported when asked for."""
    if name == "load":
        from chmed_ner.run import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
