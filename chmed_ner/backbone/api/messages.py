"""What is sent to an OpenAI-compatible endpoint, and what its answers mean."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chmed_ner.backbone.api.endpoint import GRAMMAR_FIELDS, Endpoint
from chmed_ner.entities import Grammar, ebnf
from chmed_ner.errors import without_noted, without_secrets
from chmed_ner.model import Reply, Request, messages

STOPS = {
    None: "end",
    "stop": "end",
    "eos": "end",
    "eos_token": "end",
    "stop_sequence": "end",
    "length": "length",
    "model_length": "length",
    "content_filter": "refused",
}
"""finish_reason -> our stop; a server that names none is taken to have ended."""

_THOUGHTS = re.compile(r"\A\s*<think>.*?(?:</think>\s*|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Wording:
    """How a request becomes a body for the endpoint, and the body of an answer a reply.

    `stop` is sent and also applied to the answer: not every server obeys it.
    """

    endpoint: Endpoint
    stop: tuple[str, ...]

    def body(self, request: Request) -> dict[str, Any]:
        """The body for one request, as it is sent and cached; a null in `extra_body` takes a field
        out."""
        endpoint = self.endpoint
        body: dict[str, Any] = {"model": endpoint.model}
        if endpoint.endpoint == "chat":
            system = [{"role": "system", "content": endpoint.system}] if endpoint.system else []
            body["messages"] = [*system, *messages(request.prompt, request.demonstrations)]
        else:
            body["prompt"] = request.text
        body |= {
            endpoint.max_tokens_field: request.max_new_tokens,
            "temperature": endpoint.temperature,
            "n": 1,
            "seed": endpoint.seed,
            "stop": list(self.stop) or None,
            **_grammar_field(request.grammar, endpoint.grammar),
            **endpoint.extra_body,
        }
        return {name: value for name, value in body.items() if value is not None}

    def read(self, answer: Any) -> Reply:
        """The reply in an endpoint's JSON without its reasoning; ValueError when there is none.

        Tokens are 0 where the server reports no usage.
        """
        chat = self.endpoint.endpoint == "chat"
        choice = _choice(answer)
        reason = choice.get("finish_reason")
        if not isinstance(reason, str | None) or reason not in STOPS:
            raise ValueError(f"finish_reason {reason!r}")
        said = choice.get("message") if chat else choice
        if not isinstance(said, dict):
            raise ValueError("no message in it")
        refusal = said.get("refusal")
        text = without_noted(_text(said.get("content" if chat else "text") or refusal or ""))
        text, ended = cut(_THOUGHTS.sub("", text), self.stop)
        stop = "refused" if refusal else "end" if ended else STOPS[reason]
        return Reply(text, stop, *_usage(answer))


def _grammar_field(grammar: Grammar | None, server: str | None) -> dict[str, Any]:
    """What a grammar adds to the body: nothing where there is none."""
    if grammar is None:
        return {}
    if server is None:  # a run refuses it before it asks
        raise RuntimeError("a grammar for a server that is not known to take one")
    value: Any = ebnf(grammar)
    for name in reversed(GRAMMAR_FIELDS[server]):
        value = {name: value}
    return dict(value)


def cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """`text` up to the first of the `stop` strings, and whether there was one."""
    places = [text.index(each) for each in stop if each in text]
    return (text[: min(places)], True) if places else (text, False)


def _choice(answer: Any) -> dict[str, Any]:
    """The first choice; ValueError when there is none."""
    if not isinstance(answer, dict):
        raise ValueError("not a JSON object")
    if answer.get("error"):  # some gateways report an error with status 200
        raise ValueError(f"error: {without_secrets(str(answer['error']))[:300]}")
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError("no choices in it")
    return choices[0]


def _text(content: Any) -> str:
    """A message's content: a string, or a list of parts of which the texts count."""
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
        content = "".join(str(part.get("text", "")) for part in parts)
    if not isinstance(content, str):
        raise ValueError(f"a content that is no text: {str(content)[:80]!r}")
    return content


def _usage(answer: Mapping[str, Any]) -> tuple[int, int]:
    """Prompt and completion tokens; 0 where they are not reported."""
    usage = answer.get("usage")
    found = usage if isinstance(usage, dict) else {}
    counts = found.get("prompt_tokens"), found.get("completion_tokens")
    prompt, completion = (max(0, n) if isinstance(n, int) else 0 for n in counts)
    return prompt, completion
