"""Qwen2.5-Coder 0.5B from its GGUF file, where `make model` has brought it."""

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from chmed_ner.backbone import Gguf
from chmed_ner.files import cache_directory
from chmed_ner.model.asking import Request
from chmed_ner.run.config import option

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def qwen() -> Gguf:
    """The option, on the CPU in float32."""
    how = {"dtype": "float32", "device": "cpu", "cache": str(cache_directory())}
    chosen: Gguf = option("backbone", "qwen2_5_coder_0_5b", **how)
    if not chosen.place().is_file():
        pytest.skip(f"{chosen.place()} is not there: make model NAME={chosen.name}")
    return chosen


def test_logits_are_those_of_transformers_reader(qwen: Gguf, sample_sentences: list[str]) -> None:
    """With the finer of its two copies of the embedding in both places."""
    place = qwen.place()
    theirs: Any = AutoModelForCausalLM.from_pretrained(
        place.parent, gguf_file=place.name, dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )  # fmt: skip
    theirs = theirs.float().eval()
    apart = theirs.get_output_embeddings().weight - theirs.get_input_embeddings().weight
    assert 0.03 < apart.norm() / theirs.get_output_embeddings().weight.norm() < 0.06  # 5 and 8 bits
    theirs.get_input_embeddings().weight = theirs.get_output_embeddings().weight
    loaded = qwen.load()
    assert loaded.model.num_parameters() == 494_032_768
    tokenizer = AutoTokenizer.from_pretrained(place.parent, gguf_file=place.name)
    for text in sample_sentences[:8]:
        ids = torch.tensor([loaded.wrapping.prompt_ids(text)])
        assert tokenizer.decode(ids[0]).endswith(f"{text}<|im_end|>\n<|im_start|>assistant\n")
        with torch.inference_mode():
            ours, reference = loaded.model(ids).logits, theirs(ids).logits
        assert (ours - reference).abs().max() < 1e-4


def test_the_tokenizer_gives_every_sentence_back(qwen: Gguf, sample_sentences: list[str]) -> None:
    place = qwen.place()
    tokenizer = AutoTokenizer.from_pretrained(qwen.location())
    theirs = AutoTokenizer.from_pretrained(place.parent, gguf_file=place.name)
    for text in [*sample_sentences, "  a  b\n\n\t“头痛”😀１２3"]:
        assert tokenizer.encode(text) == theirs.encode(text)
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_greedy_tokens_are_those_of_generate(qwen: Gguf, sample_sentences: list[str]) -> None:
    """Of 96 sentences, in float32."""
    asked = [
        Request(str(at), "test", "FT", f"列出句子中的疾病和症状。\n句子：{text[:24]}", 12)
        for at, text in enumerate(sample_sentences[:96])
    ]
    assert len(asked) == 96
    generator = qwen.generator(stop=(), seed=0)
    replies = generator.answer(asked)
    loaded = generator.loaded
    ends = loaded.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    answers: list[str] = []
    for start in range(0, 96, 16):
        prompts = [loaded.wrapping.prompt_ids(each.prompt) for each in asked[start : start + 16]]
        batch = loaded.tokenizer.pad({"input_ids": prompts}, return_tensors="pt")
        with torch.inference_mode():
            output = loaded.model.generate(
                **batch, max_new_tokens=12, do_sample=False, eos_token_id=ends,
                pad_token_id=ends[-1],
            )  # fmt: skip
        answers += loaded.tokenizer.batch_decode(
            output[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
        )
    assert [reply.text for reply in replies] == answers
    generator.close()
