"""Baichuan-7B's tokenizer: plain text, normalised by sentencepiece (full width, `Ⅱ`, `℃` ...)."""

from pathlib import Path
from typing import Any

from chmed_ner.files import read_json, write_json
from chmed_ner.model.original.sentencepiece_tokenizer import SentencePieceTokenizer


class BaiChuanTokenizer(SentencePieceTokenizer):
    """As Baichuan-7B's own class of this name.

    A literal `<s>`, `</s>` or `<unk>` in a text is the special token. The original has no padding
    token; here the unknown piece pads, id 0, as config.json of the model says.
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
        before, after = [1] * self.add_bos_token, [1] * self.add_eos_token
        second = [] if token_ids_1 is None else [*before, *[0] * len(token_ids_1), *after]
        return [*before, *[0] * len(token_ids_0), *after, *second]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of `tokens`; a special one stands after a space, as the original has it."""
        special = set(self.all_special_tokens)
        text, run, behind_special = "", list[str](), False
        for at, token in enumerate(tokens):
            if token in special:
                text += " " if at and not behind_special else ""
                text += self.text_of(run) + token
                run = []
            else:
                run.append(token)
            behind_special = token in special
        return text + self.text_of(run)

    def _save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        """Save, with the two switches that transformers leaves out."""
        files = super()._save_pretrained(save_directory, *args, **kwargs)
        path = Path(files[0])
        switches = {"add_bos_token": self.add_bos_token, "add_eos_token": self.add_eos_token}
        write_json(path, {**read_json(path), **switches})
        return tuple(files)
