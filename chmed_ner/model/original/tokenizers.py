"""The tokenizers of ChatGLM2-6B and Baichuan-7B, whose pieces come from sentencepiece itself.

transformers' own conversions of these two models' `tokenizer.model` are not exact.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

from chmed_ner.errors import InputError, first_line
from chmed_ner.files import read_json, write_json

MODEL = "tokenizer.model"


class SentencePieceTokenizer(SentencePieceBackend):
    """The base of the two. It pads on the left.

    Ids beyond the vocabulary, which a model's padded head can produce, decode to nothing.
    """

    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012 (as in transformers)
    padding_side = "left"

    def __init__(self, vocab_file: str, **kwargs: Any) -> None:
        sentencepiece_model(Path(vocab_file))  # InputError where it is broken
        super().__init__(vocab_file=vocab_file, **kwargs)  # type: ignore[no-untyped-call]

    def _convert_id_to_token(self, index: int) -> str:
        pieces = self.sp_model.get_piece_size()
        return str(self.sp_model.id_to_piece(index)) if index < pieces else ""

    def get_special_tokens_mask(
        self,
        token_ids_0: list[int],
        token_ids_1: list[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """1 where `build_inputs_with_special_tokens` puts a token, 0 elsewhere."""
        if already_has_special_tokens:
            special = set(self.all_special_ids)
            return [int(number in special) for number in token_ids_0]
        first, second = ([-1] * len(ids or ()) for ids in (token_ids_0, token_ids_1))
        built = self.build_inputs_with_special_tokens(
            first, None if token_ids_1 is None else second
        )
        return [int(number != -1) for number in built]

    def text_of(self, pieces: Sequence[str]) -> str:
        """The text of `pieces`, bytes put together; invalid ones become U+FFFD."""
        return str(self.sp_model.decode_pieces(list(pieces)))


def sentencepiece_model(file: Path) -> Any:
    """The sentencepiece model in `file`; InputError when it is none."""
    from sentencepiece import SentencePieceProcessor

    try:
        return SentencePieceProcessor(model_file=str(file))
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{file}: not a sentencepiece model ({first_line(error)}); fetch it again"
        ) from None


class BaiChuanTokenizer(SentencePieceTokenizer):
    """As Baichuan-7B's own class of this name: sentencepiece normalises (full width, `Ⅱ`, `℃` ...).

    A literal `<s>`, `</s>` or `<unk>` is the special token. The unknown piece pads, id 0, as
    config.json of the model says.
    """

    def __init__(
        self,
        vocab_file: str,
        add_bos_token: bool = True,
        add_eos_token: bool = False,
        **kwargs: Any,
    ) -> None:
        self.add_bos_token = add_bos_token
        self.add_eos_token = add_eos_token
        names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", **kwargs}
        names["pad_token"] = names.get("pad_token") or str(names["unk_token"])
        super().__init__(
            vocab_file=vocab_file,
            add_bos_token=add_bos_token,
            add_eos_token=add_eos_token,
            **names,
        )

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Each text between the tokens that the configuration asks for (by default none)."""
        before = [self.bos_token_id] if self.add_bos_token else []
        after = [self.eos_token_id] if self.add_eos_token else []
        second = [] if token_ids_1 is None else [*before, *token_ids_1, *after]
        return [*before, *token_ids_0, *after, *second]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of `tokens`; a space comes before a special one, as the original has it."""
        special = set(self.all_special_tokens)
        text, run, after_special = "", list[str](), False
        for at, token in enumerate(tokens):
            if token in special:
                text += " " if at and not after_special else ""
                text += self.text_of(run) + token
                run = []
            else:
                run.append(token)
            after_special = token in special
        return text + self.text_of(run)

    def _save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        """Save, with the two switches that transformers leaves out."""
        files = super()._save_pretrained(save_directory, *args, **kwargs)
        path = Path(files[0])
        switches = {"add_bos_token": self.add_bos_token, "add_eos_token": self.add_eos_token}
        write_json(path, {**read_json(path), **switches})
        return tuple(files)


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
    """As ChatGLM2's own class of this name: `[gMASK] sop` before every text, a chat in rounds.

    Nothing in a text is special: a literal `</s>` or `[gMASK]` is spelled out. The unknown piece
    pads, id 0. Special tokens have no text: `skip_special_tokens` makes no difference.
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

    @property
    def vocab_size(self) -> int:
        """The number of pieces and commands."""
        return max([super().vocab_size - 1, *self._added_tokens_decoder]) + 1

    def tokenize(self, text: str, *_: Any, **__: Any) -> list[str]:
        """The pieces of `text`."""
        return list(self.sp_model.encode_as_pieces(text))

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """`[gMASK] sop` and the text; a second text follows it and is ended."""
        prefix = [int(self.convert_tokens_to_ids(name)) for name in ("[gMASK]", "sop")]  # type: ignore[arg-type]
        second = [] if token_ids_1 is None else [*token_ids_1, self.eos_token_id]
        return [*prefix, *token_ids_0, *second]

    def apply_chat_template(  # type: ignore[override]
        self, conversation: Any, *, tokenize: bool = True, return_dict: bool = True, **kwargs: Any
    ) -> Any:
        """The conversation in rounds, as text or, with `[gMASK] sop` before it, as ids."""
        names = ("padding", "truncation", "max_length", "return_tensors")
        how = {name: kwargs.pop(name) for name in names if name in kwargs}
        text = super().apply_chat_template(conversation, tokenize=False, **kwargs)
        if not tokenize:
            return text
        encoded = self(text, **how)
        return encoded if return_dict else encoded["input_ids"]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of `tokens`, the special ones left out."""
        silent = set(self.all_special_tokens)
        return self.text_of(["" if token in silent else token for token in tokens])
