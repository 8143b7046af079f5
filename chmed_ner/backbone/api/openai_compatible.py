"""Any endpoint that speaks OpenAI's protocol: OpenAI itself, vLLM, SGLang, Ollama, llama.cpp ..."""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from chmed_ner.backbone.api.cost import FREE, likely_tokens, prices
from chmed_ner.backbone.api.grammar import checked_server
from chmed_ner.backbone.api.messages import OURS, PATHS
from chmed_ner.entities.types import Completion
from chmed_ner.errors import InputError

if TYPE_CHECKING:
    from chmed_ner.backbone.api.generator import ApiGenerator


class OpenAICompatible:
    """A model behind an address; `conf/backbone/openai_compatible.yaml` explains every setting.

    Nothing is asked before `generator` is. The key is read from the environment variable
    `api_key_env` and is in no attribute, so that it cannot be recorded. Raises InputError for
    settings that cannot work.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        model: str,
        endpoint: str = "chat",
        system: str | None = None,
        revision: str | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        max_tokens_field: str = "max_tokens",
        extra_body: Mapping[str, Any] | None = None,
        grammar: str | None = None,
        api_key_env: str | None = "OPENAI_API_KEY",
        api_key_required: bool = False,
        concurrency: int = 16,
        timeout: float = 60.0,
        attempts: int = 8,
        pause: float = 1.0,
        longest_pause: float = 60.0,
        prompt_price: float | None = None,
        completion_price: float | None = None,
        budget_usd: float | None = None,
        estimate_only: bool = False,
        cache: str | None = None,
    ) -> None:
        self.name = name
        self.base_url = _checked_address(base_url)
        self.model = model
        self.endpoint = _checked_endpoint(endpoint, system)
        self.system = system
        self.revision = revision
        self.temperature = temperature
        self.seed = seed
        self.max_tokens_field = max_tokens_field
        self.extra_body = _checked_extra(extra_body, (*OURS, max_tokens_field))
        self.grammar = checked_server(grammar)
        self.api_key_env = _checked_variable(api_key_env, api_key_required)
        self.api_key_required = api_key_required
        for key, value, least in (
            ("concurrency", concurrency, 1),
            ("attempts", attempts, 1),
            ("timeout", timeout, 0.001),
            ("pause", pause, 0),
            ("longest_pause", longest_pause, 0),
            ("temperature", temperature, 0),
        ):
            if not least <= value < math.inf:
                raise InputError(f"backbone.{key}={value}: give {least} or more")
        self.concurrency = concurrency
        self.timeout = timeout
        self.attempts = attempts
        self.pause = pause
        self.longest_pause = longest_pause
        self.prices = prices(prompt_price, completion_price)
        if budget_usd is not None and (self.prices is None or not 0 <= budget_usd < math.inf):
            raise InputError(
                f"backbone.budget_usd={budget_usd}: give 0 or more, and the prices: "
                "backbone.prompt_price, backbone.completion_price (US dollars per million tokens)"
            )
        self.budget_usd = budget_usd
        self.estimate_only = estimate_only
        self.cache = cache

    @property
    def constrains(self) -> bool:
        """Is the server one that takes a grammar? `backbone.grammar` names which."""
        return self.grammar is not None

    def check(self) -> None:
        """InputError when a key is needed and not in the environment, or cannot be sent."""
        self._key()

    def checksum(self) -> str:
        """Address, model and revision. What a provider does behind them cannot be seen."""
        return f"{self.base_url} {self.model}@{self.revision or 'main'}"

    def usd(self, completions: Iterable[Completion]) -> float:
        """What was paid for a run's completions; those from the cache (0 seconds) cost nothing."""
        return (self.prices or FREE).paid(completions)

    def tunable(self) -> NoReturn:
        """InputError: the weights are elsewhere."""
        raise InputError(
            f"backbone={self.name} is an endpoint and has no weights to tune; use regime=zero_shot "
            "with it, or tune a local backbone and serve its adapter (conf/backbone/README.md)"
        )

    def counter(self) -> Callable[[str], int]:
        """About as many as common tokenizers make: an endpoint keeps its own to itself."""
        return likely_tokens

    def generator(self, *, stop: Sequence[str], seed: int) -> "ApiGenerator":  # noqa: ARG002
        """Ready to ask; `backbone.seed` is sent, in `run` and `predict` alike, not `seed`."""
        from chmed_ner.backbone.api.cache import AnswerCache
        from chmed_ner.backbone.api.client import ApiClient, Endpoint
        from chmed_ner.backbone.api.generator import ApiGenerator, Limits
        from chmed_ner.backbone.api.messages import Wording

        wording = Wording(
            self.model, self.endpoint, self.system, self.temperature, self.seed, tuple(stop),
            self.max_tokens_field, self.extra_body, self.grammar,
        )  # fmt: skip
        url = f"{self.base_url}/{PATHS[self.endpoint]}"
        endpoint = Endpoint(
            url, self._key(), self.timeout, self.attempts, self.pause, self.longest_pause
        )
        return ApiGenerator(
            ApiClient(endpoint),
            wording,
            AnswerCache(Path(self.cache) if self.cache else None),
            self.prices,
            Limits(self.concurrency, self.budget_usd, self.estimate_only),
            self.revision,
        )

    def _key(self) -> str | None:
        """The key from the environment, or None; an estimate asks nothing and needs none."""
        key = os.environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        if not key and self.api_key_required and not self.estimate_only:
            raise InputError(
                f"backbone={self.name}: no key; put it into the environment variable "
                f"{self.api_key_env} (backbone.api_key_env names another)"
            )
        if not key.isascii() or not key.isprintable():
            raise InputError(
                f"environment variable {self.api_key_env}: holds characters that no key has; set "
                "it anew"
            )
        return key or None


def _checked_address(base_url: str) -> str:
    """`base_url` without a final slash. Keys have no place in it: it is recorded."""
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
    return base_url.rstrip("/")


def _checked_endpoint(endpoint: str, system: str | None) -> str:
    if endpoint not in PATHS:
        raise InputError(f"backbone.endpoint={endpoint!r}: choose one of {', '.join(PATHS)}")
    if system and endpoint != "chat":
        raise InputError(
            f"backbone.system: endpoint={endpoint} has no system prompt; use endpoint=chat, or put "
            "the words into the prompt"
        )
    return endpoint


def _checked_extra(extra: Mapping[str, Any] | None, ours: Sequence[str]) -> dict[str, Any]:
    refused = sorted(set(extra or {}) & set(ours))
    if refused:
        raise InputError(
            f"backbone.extra_body.{refused[0]}: not to be changed here; the other settings of "
            "backbone and decoding give it"
        )
    return dict(extra or {})


def _checked_variable(name: str | None, required: bool) -> str | None:
    """The name of the variable. What is no name may be the key itself, so it is not shown."""
    if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
        raise InputError(
            "backbone.api_key_env: give the NAME of an environment variable, such as "
            "OPENAI_API_KEY; the key itself goes into that variable, never into the configuration"
        )
    if name is None and required:
        raise InputError("backbone.api_key_env=null: name the variable that holds the key")
    return name
