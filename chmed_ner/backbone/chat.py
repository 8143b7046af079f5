"""Chat templates: how an instruction-tuned model wants its prompt wrapped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chmed_ner.errors import InputError

CHAT = ("auto", "always", "never")
_MARK = "〈回答〉"


@dataclass(frozen=True)
class Wrapping:
    """A prompt's way into the model. `template` is False for a base model: the text as it is."""

    tokenizer: Any
    template: bool
    options: Mapping[str, Any]

    def prompt_ids(self, prompt: str) -> list[int]:
        """The token ids that the model reads before it answers."""
        if not self.template:
            return list(self.tokenizer.encode(prompt))
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            tokenize=False,
            add_generation_prompt=True,
            **self.options,
        )
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def answer_ids(self, answer: str) -> list[int]:
        """The token ids of an answer, with the token that ends it."""
        return [*self.tokenizer.encode(answer, add_special_tokens=False), self.end_id()]

    def end_id(self) -> int:
        """The token that ends an answer: the template's end of turn, or the end of the text."""
        if self.template:
            text = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": "-"}, {"role": "assistant", "content": _MARK}],
                tokenize=False,
                **self.options,
            )
            tail = self.tokenizer.encode(text.split(_MARK)[-1], add_special_tokens=False)
            if tail:
                return int(tail[0])
        return int(self.tokenizer.eos_token_id)


def wrapping(tokenizer: Any, chat: str, options: Mapping[str, Any]) -> Wrapping:
    """The wrapping for a `chat` setting; `auto` uses the template when the tokenizer has one."""
    if chat not in CHAT:
        raise InputError(f"backbone.chat={chat!r}: choose one of {', '.join(CHAT)}")
    has_template = getattr(tokenizer, "chat_template", None) is not None
    if chat == "always" and not has_template:
        raise InputError("backbone.chat=always: this tokenizer has no chat template; use chat=auto")
    return Wrapping(tokenizer, has_template and chat != "never", dict(options))
