"""A transformers tokenizer whose pieces come from sentencepiece itself.

transformers' own conversions of these two models' `tokenizer.model` are not exact. Here nothing is
converted: text goes to sentencepiece, its pieces become ids, and ids go back through it.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizer

from chmed_ner.errors import InputError

MODEL = "tokenizer.model"


class SentencePieceTokenizer(PreTrainedTokenizer):
    """The base of the two: a vocabulary of pieces, then the tokens in `COMMANDS`.

    It pads on the left. Ids beyond the vocabulary, which a model's padded head can produce, decode
    to nothing.
    """

    vocab_files_names = {"vocab_file": MODEL}  # noqa: RUF012 (as in transformers)
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012
    padding_side = "left"
    COMMANDS: tuple[str, ...] = ()

    def __init__(self, vocab_file: str, **kwargs: Any) -> None:
        self.vocab_file = vocab_file
        self.sp_model = sentencepiece_model(Path(vocab_file))
        self._pieces = int(self.sp_model.get_piece_size())
        self._command_ids = {name: self._pieces + at for at, name in enumerate(self.COMMANDS)}
        super().__init__(vocab_file=vocab_file, **kwargs)  # type: ignore[no-untyped-call]

    @property
    def vocab_size(self) -> int:
        """Pieces and command tokens."""
        return self._pieces + len(self.COMMANDS)

    def get_vocab(self) -> dict[str, int]:
        """Every token and its id."""
        pieces = {str(self.sp_model.id_to_piece(number)): number for number in range(self._pieces)}
        return {**pieces, **self._command_ids}

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        return list(self.sp_model.encode_as_pieces(text))

    def _convert_token_to_id(self, token: str) -> int:
        command = self._command_ids.get(token)
        return int(self.sp_model.piece_to_id(token)) if command is None else command

    def _convert_id_to_token(self, index: int) -> str:
        if 0 <= index < self._pieces:
            return str(self.sp_model.id_to_piece(index))
        beyond = index - self._pieces
        return self.COMMANDS[beyond] if 0 <= beyond < len(self.COMMANDS) else ""

    def text_of(self, pieces: Sequence[str]) -> str:
        """The text of `pieces`, bytes put together; invalid ones become U+FFFD."""
        return str(self.sp_model.decode_pieces(list(pieces)))

    def save_vocabulary(
        self, save_directory: str, filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Copy `tokenizer.model` into a folder; returns where it lies."""
        name = f"{filename_prefix}-{MODEL}" if filename_prefix else MODEL
        target = Path(save_directory) / name
        if target.absolute() != Path(self.vocab_file).absolute():
            shutil.copyfile(self.vocab_file, target)
        return (str(target),)


def sentencepiece_model(file: Path) -> Any:
    """The sentencepiece model in `file`; InputError when it is none."""
    from sentencepiece import SentencePieceProcessor

    try:
        return SentencePieceProcessor(model_file=str(file))
    except (OSError, RuntimeError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"{file}: not a sentencepiece model ({first}); fetch it again") from None
