"""Small tokenizers of the three kinds, trained on the shipped sample, and runs of the tagger."""

import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import BertTokenizerFast, PreTrainedTokenizerFast

from chmed_ner.cli import main


@dataclass(frozen=True)
class Ran:
    """How a run ended, what it said, and its directory."""

    code: int
    said: str
    directory: Path

    def rows(self, split: str = "test") -> list[dict[str, Any]]:
        """The predictions of a split."""
        lines = (self.directory / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        return [row for row in map(json.loads, lines) if row["split"] == split]

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file of the run."""
        content: dict[str, Any] = json.loads((self.directory / name).read_text("utf-8"))
        return content

    def metrics(self) -> dict[str, float]:
        """Its metrics.json."""
        return self.read("metrics.json")


def ran(output: Path, *words: str) -> tuple[int, Path]:
    """`chmed-ner run` into `output` in this process; the exit code and the run's directory."""
    before = set(output.glob("runs/*/run.json"))
    handlers = list(logging.root.handlers)
    try:
        code = main(["run", "tracking=dry", f"paths.output={output}", *words])
    except SystemExit as stop:
        code = int(stop.code or 0)
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()
    new = sorted(set(output.glob("runs/*/run.json")) - before)
    return code, new[-1].parent if new else output


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ran]:
    """A run with the words given, which must end with `code`."""

    def call(*words: str, code: int = 0) -> Ran:
        ended, directory = ran(tmp_path_factory.mktemp("tagger"), *words)
        assert ended == code
        return Ran(ended, "", directory)

    return call


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """A run with the words given, and what it said."""

    def call(*words: str) -> Ran:
        capsys.readouterr()
        code, directory = ran(tmp_path / "outputs", *words)
        return Ran(code, "".join(capsys.readouterr()), directory)

    return call


@pytest.fixture(scope="session")
def wordpiece(sample_sentences: list[str]) -> Any:
    """BERT's way: lower case, no accents, Han characters by themselves, white space dropped."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([*sample_sentences, "aspirin vitamin covid 12 19 mg"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return BertTokenizerFast(tokenizer_object=tokenizer)


@pytest.fixture(scope="session")
def unigram(sample_sentences: list[str]) -> Any:
    """SentencePiece's way: a unigram model with words of several characters, bytes for the rest."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=1400, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(sample_sentences[:80], trainer)
    pieces = [(piece, score) for piece, score in _unigram_pieces(tokenizer)]
    pieces += [(f"<0x{byte:02X}>", -30.0) for byte in range(256)]
    tokenizer.model = models.Unigram(pieces, unk_id=0, byte_fallback=True)
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
    )


def _unigram_pieces(tokenizer: Tokenizer) -> list[list[Any]]:
    found: list[list[Any]] = json.loads(tokenizer.to_str())["model"]["vocab"]
    return found


@pytest.fixture(scope="session")
def slow_sentencepiece(
    sample_sentences: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """Sentencepiece itself, without offsets: the tokenizer of the original Baichuan-7B."""
    import sentencepiece

    from chmed_ner.model.original.tokenizers import BaiChuanTokenizer

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sample_sentences), model_writer=model, vocab_size=1400,
        character_coverage=0.98,
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, minloglevel=2,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    path.write_bytes(model.getvalue())
    return BaiChuanTokenizer(str(path))


@pytest.fixture(scope="session")
def bert(wordpiece: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A checkpoint of a random two-layer BERT with `positions` positions."""

    def saved(positions: int = 512) -> Path:
        import torch
        from transformers import BertConfig, BertForMaskedLM

        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(wordpiece), hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=96, max_position_embeddings=positions, initializer_range=0.1,
        )  # fmt: skip
        folder = tmp_path_factory.mktemp("checkpoints") / f"tiny_bert_{positions}"
        BertForMaskedLM(config).save_pretrained(folder)
        wordpiece.save_pretrained(folder)
        return folder

    return saved
