"""A request's grammar, in the field in which a server expects it."""

from collections.abc import Mapping
from typing import Any

from chmed_ner.entities.grammar import Grammar, ebnf
from chmed_ner.errors import InputError

FIELDS: Mapping[str, tuple[str, ...]] = {
    "vllm": ("structured_outputs", "grammar"),  # since 0.11
    "vllm_guided": ("guided_grammar",),  # before 0.12
    "sglang": ("ebnf",),
    "llama_cpp": ("grammar",),
}
"""Server -> where in the body its grammar stands. All of them read the GBNF that `ebnf` writes."""


def checked_server(server: str | None) -> str | None:
    """`server`, if its field is known; InputError otherwise."""
    if server is not None and server not in FIELDS:
        raise InputError(
            f"backbone.grammar={server!r}: choose one of {', '.join(FIELDS)}, or null for a server "
            "that takes no grammar"
        )
    return server


def grammar_field(grammar: Grammar | None, server: str | None) -> dict[str, Any]:
    """What a grammar adds to the body: nothing where there is none.

    RuntimeError where there is one and the server is not named, which is refused beforehand.
    """
    if grammar is None:
        return {}
    if server is None:
        raise RuntimeError("a grammar for a server that is not known to take one")
    value: Any = ebnf(grammar)
    for name in reversed(FIELDS[server]):
        value = {name: value}
    return dict(value)
