"""Asking a model: requests and replies, what answers them, and how prompts are wrapped for it."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from chmed_ner.entities import Completion, Demonstration, Grammar, Logprobs
from chmed_ner.errors import InputError, first_line
from chmed_ner.machine import time_limit


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request; `stop` is `end`, `length` or `refused`.

    `completion_tokens` hold the end token, as servers count. `cut` is what a stop string took away,
    `off_grammar` an answer that a server did not hold to the request's grammar; `logprobs` are
    those of the text's tokens.
    """

    text: str
    stop: str
    prompt_tokens: int
    completion_tokens: int
    cut: str = ""
    off_grammar: bool = False
    logprobs: Logprobs = field(default=(), compare=False)


def says_something(reply: Reply) -> bool:
    """Is there an answer in `reply`, or a reason why there is none?"""
    return reply.stop != "end" or bool(reply.text.strip())


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a backbone, without any chat template.

    `target` is the perfect answer, which only the scripted backbone looks at. `demonstrations` come
    before the prompt: as turns of their own where the model knows turns, else as text. A reply that
    is not `usable` says nothing that can be read: it is told, and kept for no other run.
    """

    id: str
    split: str
    genre: str
    prompt: str
    max_new_tokens: int
    target: str = ""
    grammar: Grammar | None = None
    demonstrations: tuple[Demonstration, ...] = ()
    usable: Callable[[Reply], bool] = says_something

    @property
    def text(self) -> str:
        """All that the model is asked, as text."""
        return plain_text(self.prompt, self.demonstrations)


def plain_text(prompt: str, demonstrations: Sequence[Demonstration]) -> str:
    """A prompt after its demonstrations."""
    return "".join([*(each.text for each in demonstrations), prompt])


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool, str]:
    """`text` up to the first of its stop strings; whether there is one; what is lost by the cut,
    with the stop string, nothing where only white space comes after it."""
    at, found = min(((text.index(each), each) for each in stop if each in text), default=(-1, ""))
    if not found:
        return text, False, ""
    return text[:at], True, text[at:] if text[at + len(found) :].strip() else ""


@dataclass(frozen=True, slots=True)
class Answered:
    """A request with its reply; `seconds` is its share of the time, 0 for what was known before."""

    request: Request
    reply: Reply
    seconds: float


class Generator(Protocol):
    """A backbone that is ready to answer."""

    @property
    def batch_size(self) -> int:
        """How many requests to ask at once."""

    def length(self, request: Request) -> int:
        """The request's length in tokens, for batches of like lengths."""

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """One reply a request, in order."""

    def most_seconds(self, batches: Sequence[Sequence[Request]]) -> float:
        """How long `batches` take if every answer runs to its cap, by a measurement."""

    def close(self) -> None:
        """Free the memory it holds."""


@runtime_checkable
class Streaming(Protocol):
    """A generator that does not answer batch by batch."""

    def stream(
        self, requests: Sequence[Request], before: Iterable[Completion]
    ) -> Iterator[list[Answered]]:
        """All `requests` answered, in lists that are kept at once; the run has `before` already."""


CHAT = ("auto", "always", "never")
_MARK = "〈回答〉"
TEMPLATE_SECONDS = 10.0
"""How long a chat template may take: it is the checkpoint's program."""
LONGEST = 1_000_000
"""How many characters it may add to a conversation."""


@dataclass(frozen=True)
class Wrapping:
    """A prompt's way into the model; without `template`, for a base model, the text as it is.

    The model's embedding has so many `rows`: a tokenizer may know more tokens than these.
    """

    tokenizer: Any
    template: bool
    options: Mapping[str, Any]
    rows: float = math.inf

    def prompt_ids(self, prompt: str, demonstrations: Sequence[Demonstration] = ()) -> list[int]:
        """The token ids that the model reads; demonstrations are turns where the template can.

        InputError: a token of another kind of model, such as an image's, is written in the text.
        """
        if not (self.template and (self.takes_turns or not demonstrations)):
            prompt, demonstrations = plain_text(prompt, demonstrations), ()
        if not self.template:
            return self._known(self.tokenizer.encode(prompt))
        asked = messages(prompt, demonstrations)
        how = {"tokenize": True, "return_dict": False, "add_generation_prompt": True}
        return self._known(self._filled(asked, **how))

    @cached_property
    def takes_turns(self) -> bool:
        """Does the template write earlier questions and answers, in their order?"""
        one, two, three = "〈一〉", "〈二〉", "〈三〉"
        try:
            text = self._filled(messages(three, [Demonstration(one, two)]), tokenize=False)
        except InputError:
            return False
        places = [str(text).find(mark) for mark in (one, two, three)]
        return places[0] >= 0 and places == sorted(places)

    def answer_ids(self, answer: str) -> list[int]:
        """The token ids of an answer, its end included."""
        ids = self.tokenizer.encode(answer, add_special_tokens=False)
        return self._known([*ids, self.end_id()])

    def _known(self, ids: Sequence[int]) -> list[int]:
        """`ids`; InputError: the model has no embedding for one."""
        if (most := max(ids, default=0)) >= self.rows:
            raise InputError(
                f"{self.tokenizer.convert_ids_to_tokens(most)!r}: token {most} is beyond the "
                f"model's embedding, which has {self.rows} rows; take it out of the text, or give "
                "the checkpoint its own tokenizer"
            )
        return list(ids)

    def end_id(self) -> int:
        """The first special token that the template puts after an answer, else the text's end."""
        if self.template:
            said = [{"role": "user", "content": "-"}, {"role": "assistant", "content": _MARK}]
            text = self._filled(said, tokenize=False)
            tail = text.rpartition(_MARK)[2] if _MARK in text else ""
            added = self.tokenizer.added_tokens_decoder.items()
            special = {number for number, token in added if token.special}  # some have no name
            for token in self.tokenizer.encode(tail, add_special_tokens=False):
                if token in special or token in self.tokenizer.all_special_ids:
                    return int(token)
        return int(self.tokenizer.eos_token_id)

    def _filled(self, conversation: Sequence[Mapping[str, str]], **how: bool) -> Any:
        """The template with a conversation, as text or token ids; InputError where it fails."""
        most = LONGEST + sum(len(message["content"]) for message in conversation)
        try:
            with time_limit(TEMPLATE_SECONDS):
                filled = self.tokenizer.apply_chat_template(conversation, **how, **self.options)
            if len(filled) > most:
                raise ValueError(f"it adds more than {LONGEST:,} characters")
        except Exception as error:  # a program, which can fail in any way
            raise InputError(
                f"backbone.chat_options={dict(self.options)}: the chat template cannot be filled "
                f"({first_line(error)}); change the options, or leave the template out with "
                "backbone.chat=never"
            ) from error
        return filled


def messages(prompt: str, demonstrations: Sequence[Demonstration] = ()) -> list[dict[str, str]]:
    """A conversation in which each demonstration was asked and answered before."""
    turns = [
        {"role": role, "content": text}
        for each in demonstrations
        for role, text in (("user", each.question), ("assistant", each.answer))
    ]
    return [*turns, {"role": "user", "content": prompt}]


def wrapping(
    tokenizer: Any, chat: str, options: Mapping[str, Any], rows: float = math.inf
) -> Wrapping:
    """The wrapping for a `chat` setting; `auto` uses the template when the tokenizer has one.

    InputError: `always` and no template, or one that cannot be filled with `options`.
    """
    has_template = getattr(tokenizer, "chat_template", None) is not None
    if chat == "always" and not has_template:
        raise InputError("backbone.chat=always: this tokenizer has no chat template; use chat=auto")
    chosen = Wrapping(tokenizer, has_template and chat != "never", dict(options), rows)
    chosen.end_id()  # first as text, whose length is known before it is cut into tokens
    chosen.prompt_ids("-")
    return chosen


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to answer or to be tuned."""

    model: Any
    tokenizer: Any
    wrapping: Wrapping
    weight_bytes: int = 0
    name: str = ""
