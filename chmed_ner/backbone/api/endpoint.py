"""The knobs of an endpoint, their checks, and the key from the environment."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from chmed_ner.backbone.api.cost import FREE, Prices, likely_tokens
from chmed_ner.backbone.regime import Backbone
from chmed_ner.entities import Completion
from chmed_ner.errors import InputError, note_secrets
from chmed_ner.knobs import MAPPING, NO_RESULT, Count, NotNegative, Positive, one_of

PATHS = {"chat": "chat/completions", "completions": "completions"}
OURS = ("model", "messages", "prompt", "n", "stream", "max_tokens", "max_completion_tokens")
"""Fields that `extra_body` may not change: reading and budget rely on them."""

GRAMMAR_FIELDS: Mapping[str, tuple[str, ...]] = {
    "vllm": ("structured_outputs", "grammar"),  # since 0.11
    "vllm_guided": ("guided_grammar",),  # before 0.12
    "sglang": ("ebnf",),
    "llama_cpp": ("grammar",),
}
"""Server -> the field of the body that takes a grammar. All of them read what `ebnf` writes."""


@dataclass(frozen=True, kw_only=True)
class Endpoint(Backbone):
    """An address that speaks OpenAI's protocol; `openai_compatible.yaml` explains every knob.

    The key is read from the environment variable `api_key_env` when it is needed and is in no
    attribute, so that it cannot be recorded.
    """

    name: str
    base_url: str
    model: str
    endpoint: Annotated[str, one_of(*PATHS)]
    system: str | None
    revision: str | None
    temperature: NotNegative
    seed: int | None
    max_tokens_field: str
    extra_body: Annotated[Any, MAPPING]
    grammar: Annotated[str | None, one_of(*GRAMMAR_FIELDS)]
    api_key_env: Annotated[str | None, NO_RESULT]
    api_key_required: Annotated[bool, NO_RESULT]
    concurrency: Annotated[Count, NO_RESULT]
    timeout: Annotated[Positive, NO_RESULT]
    attempts: Annotated[Count, NO_RESULT]
    prompt_price: NotNegative | None
    completion_price: NotNegative | None
    budget_usd: Annotated[NotNegative | None, NO_RESULT]
    estimate_only: Annotated[bool, NO_RESULT]
    cache: Annotated[str | None, NO_RESULT]

    def __post_init__(self) -> None:
        """InputError for settings that cannot work together, or would record a key."""
        _check_address(self.base_url)
        _check_variable(self.api_key_env, self.api_key_required)
        if self.system and self.endpoint != "chat":
            raise InputError(
                f"backbone.system: endpoint={self.endpoint} has no system prompt; use "
                "endpoint=chat, or put the words into the prompt"
            )
        refused = sorted(set(self.extra_body) & {*OURS, self.max_tokens_field})
        if refused:
            raise InputError(
                f"backbone.extra_body.{refused[0]}: not to be changed here; the other settings of "
                "backbone and decoding give it"
            )
        given = [each is not None for each in (self.prompt_price, self.completion_price)]
        if any(given) and not all(given):
            missing = "completion_price" if given[0] else "prompt_price"
            raise InputError(
                f"backbone.{missing}=null: give both prices, in US dollars per million tokens"
            )
        if self.budget_usd is not None and not all(given):
            raise InputError(
                f"backbone.budget_usd={self.budget_usd}: give the prices too: "
                "backbone.prompt_price, backbone.completion_price (US dollars per million tokens)"
            )

    @property
    def url(self) -> str:
        """Where questions go."""
        return f"{self.base_url.rstrip('/')}/{PATHS[self.endpoint]}"

    @property
    def address(self) -> str:
        """Where questions go, with which key."""
        return f"{self.url} (its key in {self.api_key_env})"

    @property
    def prices(self) -> Prices | None:
        """The provider's prices; None where they are not given."""
        given = self.prompt_price, self.completion_price
        return None if given[0] is None or given[1] is None else Prices(given[0], given[1])

    @property
    def constrains(self) -> bool:
        """Does the server take a grammar? `backbone.grammar` names how."""
        return self.grammar is not None

    def forgetful(self) -> Self:
        """This endpoint without its cache of answers."""
        return replace(self, cache=None)

    def check(self) -> None:
        """InputError when a key is needed and not in the environment, or cannot be sent."""
        self.key()

    def checksum(self) -> str:
        """Address, model and revision. What a provider does behind them cannot be seen."""
        return f"{self.base_url.rstrip('/')} {self.model}@{self.revision or 'main'}"

    def usd(self, completions: Iterable[Completion]) -> float:
        """What was paid for a run's completions; those from the cache (0 seconds) cost nothing."""
        return (self.prices or FREE).paid(completions)

    def counter(self) -> Callable[[str], int]:
        """About as many as common tokenizers make: an endpoint keeps its own to itself."""
        return likely_tokens

    def key(self) -> str | None:
        """The key from the environment, or None; an estimate asks nothing and needs none."""
        key = os.environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        if not key and self.api_key_required and not self.estimate_only:
            raise InputError(
                f"backbone={self.name}: no key; put it into the environment variable "
                f"{self.api_key_env} (backbone.api_key_env names another)"
            )
        note_secrets(key, "key")
        if not key.isascii() or not key.isprintable():
            raise InputError(
                f"environment variable {self.api_key_env}: holds characters that no key has; set "
                "it anew"
            )
        return key or None


def _check_address(base_url: str) -> None:
    """InputError for what is no web address, or holds a key: it is recorded."""
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        secret = parts.username or parts.password or parts.query or parts.fragment
    except ValueError:  # a broken bracket, a port out of range
        usable, secret = False, None
    if secret:
        raise InputError(
            "backbone.base_url: holds a user, a password or a query, and would be recorded; give "
            "the bare address, and the key in the variable that backbone.api_key_env names"
        )
    if not usable:
        raise InputError(
            f"backbone.base_url={base_url}: not a web address; give one like "
            "http://127.0.0.1:8000/v1"
        )


def _check_variable(name: str | None, required: bool) -> None:
    """InputError for what is no variable's name; it may be the key, so it is not shown."""
    if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
        raise InputError(
            "backbone.api_key_env: give the NAME of an environment variable, such as "
            "OPENAI_API_KEY; the key itself goes into that variable, never into the configuration"
        )
    if name is None and required:
        raise InputError("backbone.api_key_env=null: name the variable that holds the key")
