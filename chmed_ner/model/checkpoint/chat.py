"""Chat templates: how an instruction-tuned model wants its prompt wrapped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chmed_ner.entities.types import Demonstration
from chmed_ner.errors import InputError
from chmed_ner.model.asking import plain_text

CHAT = ("auto", "always", "never")
_MARK = "〈回答〉"


@dataclass(frozen=True)
class Wrapping:
    """A prompt's way into the model. `template` is False for a base model: the text as it is."""

    tokenizer: Any
    template: bool
    options: Mapping[str, Any]

    def prompt_ids(self, prompt: str, demonstrations: Sequence[Demonstration] = ()) -> list[int]:
        """The token ids that the model reads before it answers.

        Demonstrations are turns where there is a template that takes them, else part of the text.
        """
        if not (self.template and (self.takes_turns or not demonstrations)):
            prompt, demonstrations = plain_text(prompt, demonstrations), ()
        if not self.template:
            return list(self.tokenizer.encode(prompt))
        ids = self.tokenizer.apply_chat_template(
            messages(prompt, demonstrations),
            tokenize=True,
            return_dict=False,
            add_generation_prompt=True,
            **self.options,
        )
        return list(ids)

    @cached_property
    def takes_turns(self) -> bool:
        """Does the template write earlier questions and answers, in their order?"""
        from jinja2 import TemplateError

        one, two, three = "〈一〉", "〈二〉", "〈三〉"
        try:
            text = self.tokenizer.apply_chat_template(
                messages(three, [Demonstration(one, two)]), tokenize=False, **self.options
            )
        except (TemplateError, TypeError, ValueError):
            return False
        places = [str(text).find(mark) for mark in (one, two, three)]
        return places[0] >= 0 and places == sorted(places)

    def answer_ids(self, answer: str) -> list[int]:
        """The token ids of an answer, with the token that ends it."""
        return [*self.tokenizer.encode(answer, add_special_tokens=False), self.end_id()]

    def end_id(self) -> int:
        """The token that ends an answer: the template's end of turn, or the end of the text.

        The end of turn is the first special token that the template puts after an answer (it may
        put a space or a line end before it).
        """
        if self.template:
            text = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": "-"}, {"role": "assistant", "content": _MARK}],
                tokenize=False,
                **self.options,
            )
            tail = text.rpartition(_MARK)[2] if _MARK in text else ""
            for token in self.tokenizer.encode(tail, add_special_tokens=False):
                if token in _special_ids(self.tokenizer):
                    return int(token)
        return int(self.tokenizer.eos_token_id)


def messages(prompt: str, demonstrations: Sequence[Demonstration] = ()) -> list[dict[str, str]]:
    """A conversation in which each demonstration was asked and answered before."""
    turns = []
    for each in demonstrations:
        turns += [
            {"role": "user", "content": each.question},
            {"role": "assistant", "content": each.answer},
        ]
    return [*turns, {"role": "user", "content": prompt}]


def _special_ids(tokenizer: Any) -> set[int]:
    """Special tokens, those included that no attribute of the tokenizer names."""
    added = tokenizer.added_tokens_decoder.items()
    return {*tokenizer.all_special_ids, *(number for number, token in added if token.special)}


def wrapping(tokenizer: Any, chat: str, options: Mapping[str, Any]) -> Wrapping:
    """The wrapping for a `chat` setting; `auto` uses the template when the tokenizer has one.

    InputError when the template cannot be filled with `options`.
    """
    from jinja2 import TemplateError

    if chat not in CHAT:
        raise InputError(f"backbone.chat={chat!r}: choose one of {', '.join(CHAT)}")
    has_template = getattr(tokenizer, "chat_template", None) is not None
    if chat == "always" and not has_template:
        raise InputError("backbone.chat=always: this tokenizer has no chat template; use chat=auto")
    chosen = Wrapping(tokenizer, has_template and chat != "never", dict(options))
    try:
        chosen.prompt_ids("-")
        chosen.end_id()
    except (TemplateError, TypeError, ValueError) as error:
        raise InputError(
            f"backbone.chat_options={dict(options)}: the chat template cannot be filled ({error}); "
            "change the options, or leave the template out with backbone.chat=never"
        ) from error
    return chosen
