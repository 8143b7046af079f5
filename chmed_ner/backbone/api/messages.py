"""What is sent to an OpenAI-compatible endpoint, and what its answers mean."""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chmed_ner.backbone.api.endpoint import GRAMMAR_FIELDS, Endpoint
from chmed_ner.entities import Grammar, Logprobs, ebnf
from chmed_ner.errors import without_noted, without_secrets
from chmed_ner.model import Reply, Request, cut_at_stop, messages, written_stretches

_ENDS = re.compile(
    r"|null|none|stop(ped|_sequence)?|eos(_token|_found)?|end(_turn|_of_turn)?|done|completed?"
    r"|finish(ed)?|normal"
)
_REFUSALS = re.compile(
    r"filter|sensitive|safety|recitation|prohibited|block|spii|refus|polic|moderat|guardrail|unsafe"
    r"|violation|risk|toxic"
)
_LENGTHS = re.compile(r"length|max_.*token|token_?limit|context|repeti|truncat|incomplete")
_BROKEN = re.compile(r"abort|cancel|error|resource|time_?out|interrupt")
"""The server gave up: what there is of the answer is taken as cut, none is asked for again."""
_MOST_TOKENS = 10**9
_TEXT_PARTS = (None, "text", "output_text", "message")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wording:
    """How a request becomes a body for the endpoint, and the body of an answer a reply.

    `stop` is for base models: a chat model ends its turn by itself, and may begin it with an empty
    line. It is sent and also applied to the answer: not every server obeys it.
    """

    endpoint: Endpoint
    stop: tuple[str, ...]
    _unknown: set[str] = field(default_factory=set, init=False, compare=False)

    def __post_init__(self) -> None:
        """No stop strings for a chat endpoint."""
        if self.endpoint.endpoint == "chat":
            object.__setattr__(self, "stop", ())

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
        """The reply in an endpoint's JSON; ValueError when there is none.

        Reasoning in a field of its own is no part of it. Tokens are 0 where none are reported.
        """
        choice = _choice(answer)
        said = _message(choice)
        content = said.get("content") or said.get("text") or said.get("output_text")
        refusal = said.get("refusal") if isinstance(said.get("refusal"), str) else ""
        text = without_noted("".join(_texts(content)) or refusal or "")
        stop = self._stop(choice.get("finish_reason"), text)
        text, ended, lost = cut_at_stop(text, self.stop)
        stop = "refused" if refusal else "end" if ended else stop
        prompt, completion = usage(answer)
        logprobs = _logprobs(choice.get("logprobs"), text)
        return Reply(text, stop, prompt or 0, completion or 0, cut=lost, logprobs=logprobs)

    def _stop(self, reason: Any, text: str) -> str:
        """Our word for a finish_reason. One that is not known, or says that the server gave up, is
        told once a run; ValueError where it gave up before the first word."""
        if isinstance(reason, Mapping):
            reason = reason.get("type")
        word = "" if reason is None else str(reason).strip().lower()
        if _ENDS.fullmatch(word):
            return "end"
        if _REFUSALS.search(word):
            return "refused"
        if _LENGTHS.search(word):
            return "length"
        broken = _BROKEN.search(word) is not None
        if broken and not text:
            raise ValueError(f"finish_reason {reason!r} without a text")
        if not self._unknown:
            log.warning(
                "%s: finish_reason %.60r: such answers are taken as %s", self.endpoint.url, reason,
                "cut" if broken else "ended",
            )  # fmt: skip
        self._unknown.add(word)
        return "length" if broken else "end"


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


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    """The message of a choice, which may hold its text itself, or only why there is none."""
    said = choice.get("message")
    if said is None and (choice.get("finish_reason") or choice.get("text") is not None):
        said = choice
    if not isinstance(said, dict):
        raise ValueError("no message in it")
    return said


def _logprobs(given: Any, text: str) -> Logprobs:
    """Those of the tokens of `text`, where a server gives them (`extra_body.logprobs=true`)."""
    try:
        if "content" in given:  # chat
            words = [
                bytes(each.get("bytes") or each["token"].encode()) for each in given["content"]
            ]
            chances = [float(each["logprob"]) for each in given["content"]]
        else:
            words = [token.encode() for token in given["tokens"]]
            chances = [float(chance) for chance in given["token_logprobs"]]
        return written_stretches(text, words, chances)
    except (TypeError, KeyError, ValueError, AttributeError):
        return ()


def _texts(content: Any) -> Iterator[str]:
    """The texts in a message's content, a string or parts of several kinds; no thoughts."""
    if isinstance(content, list):
        for part in content:
            yield from _texts(part)
    elif isinstance(content, dict):
        if content.get("type") in _TEXT_PARTS and not content.get("thought"):
            yield from _texts(content.get("text") or content.get("value") or content.get("content"))
    elif isinstance(content, str):
        yield content
    elif content is not None:
        raise ValueError(f"a content that is no text: {str(content)[:80]!r}")


def usage(answer: Any) -> tuple[int | None, int | None]:
    """Prompt and completion tokens of an answer of any kind; None where they are not reported."""
    found = answer.get("usage") if isinstance(answer, dict) else None
    counts = found if isinstance(found, dict) else {}
    prompt, completion = (_count(counts.get(f"{of}_tokens")) for of in ("prompt", "completion"))
    return prompt or None, completion


def _count(value: Any) -> int | None:
    """A number of tokens that can be one."""
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None
