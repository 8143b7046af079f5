"""A tokenizer in a checkpoint's own code, for which transformers converts `tokenizer.model`."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.backbone import load_tokenizer
from chmed_ner.errors import InputError

Write = Callable[..., Path]


@pytest.fixture
def write(sample_sentences: list[str], tmp_path: Path) -> Write:
    """Writes the tokenizer files of a model like InternLM3, which transformers knows by name."""

    def written(*, prefix: bool, normaliser: str = "identity", **changes: Any) -> Path:
        import sentencepiece

        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sample_sentences[:30]),
            model_writer=model,
            model_type="bpe",
            vocab_size=900,
            byte_fallback=True,
            character_coverage=0.98,
            add_dummy_prefix=prefix,
            normalization_rule_name=normaliser,
            remove_extra_whitespaces=False,
            num_threads=1,
            minloglevel=2,
        )
        settings = {
            "auto_map": {"AutoTokenizer": ["tokenization_internlm3.InternLM3Tokenizer", None]},
            "tokenizer_class": "InternLM3Tokenizer",
            "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **changes,
        }  # fmt: skip
        (tmp_path / "tokenizer.model").write_bytes(model.getvalue())
        kept = {key: value for key, value in settings.items() if value is not None}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(kept), encoding="utf-8")
        (tmp_path / "config.json").write_text('{"model_type": "internlm3"}', encoding="utf-8")
        return tmp_path

    return written


def test_a_conversion_that_is_another_tokenizer_is_refused(write: Write) -> None:
    """It leaves out the space that sentencepiece puts in front."""
    folder = write(prefix=True)
    with pytest.raises(InputError, match=r"conversion .* differs on '头痛'.*tokenizer\.json") as e:
        load_tokenizer(folder)
    assert f"backbone.path={folder}" in str(e.value)


@pytest.mark.parametrize("normaliser", ["identity", "nfkc"])
def test_an_exact_conversion_is_taken(
    write: Write, normaliser: str, sample_sentences: list[str]
) -> None:
    import sentencepiece

    folder = write(prefix=False, normaliser=normaliser)
    tokenizer = load_tokenizer(folder)
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    for text in sample_sentences:
        assert tokenizer.encode(text, add_special_tokens=False) == list(model.encode(text))


def test_what_a_checkpoint_without_code_of_its_own_says_is_believed(write: Write) -> None:
    folder = write(prefix=True, auto_map=None)
    assert load_tokenizer(folder).eos_token == "</s>"
