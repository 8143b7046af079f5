"""ChatGLM2's tokenizer: `[gMASK] sop` before every text, questions and answers in rounds."""

from typing import Any

from chmed_ner.model.original.sentencepiece_tokenizer import SentencePieceTokenizer

CHAT_TEMPLATE = (
    "{%- set count = namespace(rounds=0) -%}"
    "{%- for message in messages -%}"
    "{%- if message.role == 'user' -%}"
    "{%- set count.rounds = count.rounds + 1 -%}"
    "{{- '[Round ' ~ count.rounds ~ ']\n\n问：' ~ message.content ~ '\n\n' -}}"
    "{%- elif message.role == 'assistant' -%}"
    "{{- '答：' ~ message.content ~ ('' if loop.last else '\n\n') -}}"
    "{%- else -%}"
    "{{- raise_exception('ChatGLM2 knows the roles user and assistant only') -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '答：' -}}{%- endif -%}"
)
"""The rounds in which ChatGLM2 was tuned to talk, the first one numbered 1."""


class ChatGLMTokenizer(SentencePieceTokenizer):
    """As ChatGLM2's own class of this name.

    Nothing in a text is special: a literal `</s>` or `[gMASK]` is spelled out. Padding has id 0,
    which is the unknown piece, and the end of an answer is `</s>`. None of the special tokens has a
    text, so `skip_special_tokens` makes no difference.
    """

    COMMANDS = ("[MASK]", "[gMASK]", "[sMASK]", "sop", "eop")

    def __init__(self, vocab_file: str, **kwargs: Any) -> None:
        super().__init__(
            vocab_file=vocab_file,
            **{
                "unk_token": "<unk>",
                "bos_token": "<s>",
                "eos_token": "</s>",
                "pad_token": "<unk>",
                "extra_special_tokens": list(self.COMMANDS),
                "chat_template": CHAT_TEMPLATE,
                **kwargs,
            },
        )

    def tokenize(self, text: str, *_: Any, **__: Any) -> list[str]:
        """The pieces of `text`."""
        return self._tokenize(text)

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """`[gMASK] sop` and the text; a second text is put behind it and ended."""
        prefix = [self._command_ids["[gMASK]"], self._command_ids["sop"]]
        second = [] if token_ids_1 is None else [*token_ids_1, self.eos_token_id]
        return [*prefix, *token_ids_0, *second]

    def get_special_tokens_mask(
        self,
        token_ids_0: list[int],
        token_ids_1: list[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """1 where `build_inputs_with_special_tokens` has put a token, 0 elsewhere."""
        if already_has_special_tokens:
            special = set(self.all_special_ids)
            return [int(number in special) for number in token_ids_0]
        second = [] if token_ids_1 is None else [0] * len(token_ids_1) + [1]
        return [1, 1, *[0] * len(token_ids_0), *second]

    def apply_chat_template(  # type: ignore[override]
        self,
        conversation: Any,
        *,
        tokenize: bool = True,
        return_dict: bool = True,
        padding: Any = False,
        truncation: bool = False,
        max_length: int | None = None,
        return_tensors: Any = None,
        **kwargs: Any,
    ) -> Any:
        """The conversation in rounds, as text or, with `[gMASK] sop` before it, as ids."""
        text = super().apply_chat_template(conversation, tokenize=False, **kwargs)
        if not tokenize:
            return text
        encoded = self(
            text,
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            return_tensors=return_tensors,
        )
        return encoded if return_dict else encoded["input_ids"]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of `tokens`, the special ones left out."""
        silent = set(self.all_special_tokens)
        return self.text_of(["" if token in silent else token for token in tokens])
