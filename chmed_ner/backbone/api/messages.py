"""What is sent to an OpenAI-compatible endpoint, and what its answers mean."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chmed_ner.backbone.api.grammar import grammar_field
from chmed_ner.entities.grammar import Grammar
from chmed_ner.entities.types import Demonstration
from chmed_ner.model.asking import Reply, plain_text
from chmed_ner.model.checkpoint.chat import messages

PATHS = {"chat": "chat/completions", "completions": "completions"}
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

OURS = ("model", "messages", "prompt", "n", "stream", "max_tokens", "max_completion_tokens")
"""Fields that `extra_body` may not change: reading and budget rely on them."""

_THOUGHTS = re.compile(r"\A\s*<think>.*?(?:</think>\s*|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Wording:
    """How a prompt becomes a request body.

    `extra` is merged into the body last; a null in it takes a field out. `stop` is sent, and also
    applied to the answer, since not every server obeys it. `grammar_server` names the server's way
    of taking a grammar, None where it takes none.
    """

    model: str
    endpoint: str = "chat"
    system: str | None = None
    temperature: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens_field: str = "max_tokens"
    extra: Mapping[str, Any] = field(default_factory=dict)
    grammar_server: str | None = None

    def body(
        self,
        prompt: str,
        max_tokens: int,
        grammar: Grammar | None = None,
        demonstrations: Sequence[Demonstration] = (),
    ) -> dict[str, Any]:
        """The request body for one prompt, as it is sent and as it is cached."""
        body: dict[str, Any] = {"model": self.model}
        if self.endpoint == "chat":
            system = [{"role": "system", "content": self.system}] if self.system else []
            body["messages"] = [*system, *messages(prompt, demonstrations)]
        else:
            body["prompt"] = plain_text(prompt, demonstrations)
        body |= {self.max_tokens_field: max_tokens, "temperature": self.temperature, "n": 1}
        body |= {"seed": self.seed, "stop": list(self.stop) or None}
        body |= {**grammar_field(grammar, self.grammar_server), **self.extra}
        return {name: value for name, value in body.items() if value is not None}

    def read(self, answer: Any) -> Reply:
        """The reply in an endpoint's JSON; ValueError when there is none.

        Reasoning is left out, both as a field of its own and as a leading `<think>` block. Tokens
        are 0 where the server reports no usage.
        """
        choice = _choice(answer)
        reason = choice.get("finish_reason")
        if not isinstance(reason, str | None) or reason not in STOPS:
            raise ValueError(f"finish_reason {reason!r}")
        said = choice.get("message") if self.endpoint == "chat" else choice
        if not isinstance(said, dict):
            raise ValueError("no message in it")
        refusal = said.get("refusal")
        text = _text(said.get("content" if self.endpoint == "chat" else "text") or refusal or "")
        text, ended = cut(_THOUGHTS.sub("", text), self.stop)
        stop = "refused" if refusal else "end" if ended else STOPS[reason]
        return Reply(text, stop, *_usage(answer))


def cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """`text` up to the first of the `stop` strings, and whether there was one."""
    places = [text.index(each) for each in stop if each in text]
    return (text[: min(places)], True) if places else (text, False)


def _choice(answer: Any) -> dict[str, Any]:
    """The first choice; ValueError when there is none."""
    if not isinstance(answer, dict):
        raise ValueError("not a JSON object")
    if answer.get("error"):  # some gateways report an error with status 200
        raise ValueError(f"error: {str(answer['error'])[:300]}")
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
    counts = [
        usage.get(name) if isinstance(usage, dict) else None
        for name in ("prompt_tokens", "completion_tokens")
    ]
    prompt, completion = (int(count) if isinstance(count, int) else 0 for count in counts)
    return max(0, prompt), max(0, completion)
