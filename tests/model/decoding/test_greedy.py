"""Greedy decoding of a real (if tiny and random) model, against decoding by hand."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st

from chmed_ner.backbone.completions import CompletionStore, generate
from chmed_ner.model.asking import Request
from chmed_ner.model.decoding.greedy import GreedyGenerator
from chmed_ner.run.config import option


def a_generator(folder: Path, *, stop: tuple[str, ...] = (), **knobs: Any) -> GreedyGenerator:
    """The checkpoint in float32 on the CPU."""
    backbone = option(
        "backbone",
        "causal_lm",
        name="tiny",
        path=str(folder),
        dtype="float32",
        device="cpu",
        **knobs,
    )
    return backbone.generator(stop=stop, seed=0)


@pytest.fixture(scope="module")
def llama(tiny_llama: Path) -> GreedyGenerator:
    """No stop strings."""
    return a_generator(tiny_llama, batch_size=4)


@pytest.fixture(scope="module")
def gemma3(tiny_gemma3: Path) -> GreedyGenerator:
    """A sliding window of 8 tokens."""
    return a_generator(tiny_gemma3, batch_size=4)


def a_request(prompt: str, cap: int = 24, id_: str = "a") -> Request:
    """A request with a cap in tokens."""
    return Request(id_, "test", "FT", prompt, cap)


def by_hand(generator: GreedyGenerator, request: Request) -> list[int]:
    """The likeliest token again and again, no padding and no cache, up to the cap or the end."""
    model = generator.loaded.model
    ids = generator.prompt_ids(request)
    answer: list[int] = []
    while len(answer) < request.max_new_tokens:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids + answer]), use_cache=False).logits
        answer.append(int(logits[0, -1].argmax()))
        if answer[-1] == model.generation_config.eos_token_id:
            break
    return answer


ODD = ["痛", "头痛\n", "\n", "a", " ", "😀", "é́", "\x00", "<eos>", "<pad>", "痛" * 442]


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_a_batch_answers_as_each_alone_and_as_by_hand(
    name: str, request: pytest.FixtureRequest, sample_sentences: list[str]
) -> None:
    generator: GreedyGenerator = request.getfixturevalue(name)
    requests = [a_request(text) for text in [*sample_sentences[:5], *ODD[:-1], sample_sentences[0]]]
    together = generator.answer(requests)
    assert together == [generator.answer([request])[0] for request in requests]
    assert len({reply.text for reply in together}) > 8
    assert together[0] == together[-1]
    tokenizer, end = generator.loaded.tokenizer, generator.loaded.tokenizer.eos_token_id
    for asked, reply in zip(requests, together, strict=True):
        answer = by_hand(generator, asked)
        ended = answer[-1] == end
        kept = answer[:-1] if ended else answer
        assert reply.text == tokenizer.decode(kept, skip_special_tokens=True)
        assert reply.stop == ("end" if ended else "length")
        assert reply.prompt_tokens == len(generator.prompt_ids(asked))
        if kept[-1:] != [tokenizer.pad_token_id]:
            assert reply.completion_tokens == len(answer)


def test_442_characters_beside_one(gemma3: GreedyGenerator) -> None:
    requests = [a_request("痛" * 442, cap=8), a_request("痛", cap=8)]
    assert gemma3.answer(requests) == [gemma3.answer([request])[0] for request in requests]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    prompts=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), max_size=6),
    caps=st.lists(st.integers(1, 12), min_size=6, max_size=6),
)
def test_any_text_in_any_company(
    gemma3: GreedyGenerator, prompts: list[str], caps: list[int]
) -> None:
    requests = [a_request(text, cap) for text, cap in zip(prompts, caps, strict=False)]
    if requests:
        together = gemma3.answer(requests)
        assert together == [gemma3.answer([request])[0] for request in requests]
        assert all(r.completion_tokens <= cap for r, cap in zip(together, caps, strict=False))


def test_each_row_keeps_its_own_cap(llama: GreedyGenerator) -> None:
    prompt = "句子：头痛"
    longest = llama.answer([a_request(prompt, 20)])[0]
    assert (longest.stop, longest.completion_tokens) == ("length", 20)
    requests = [a_request(prompt, cap) for cap in (1, 20, 7, 19)]
    replies = llama.answer(requests)
    assert [reply.completion_tokens for reply in replies] == [1, 20, 7, 19]
    assert {reply.stop for reply in replies} == {"length"}
    assert all(longest.text.startswith(reply.text.rstrip("\ufffd")) for reply in replies)


def test_sampling_advice_of_the_checkpoint_does_not_change_greedy_decoding(
    llama: GreedyGenerator, tiny_llama: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "advised"
    shutil.copytree(tiny_llama, folder)
    path = folder / "generation_config.json"
    advice = json.loads(path.read_text(encoding="utf-8"))
    advice |= {
        "do_sample": True,
        "temperature": 0.6,
        "top_k": 20,
        "repetition_penalty": 1.8,
        "no_repeat_ngram_size": 2,
        "min_new_tokens": 30,
        "num_return_sequences": 2,
    }
    path.write_text(json.dumps(advice), encoding="utf-8")
    requests = [a_request("痛" * 9, 40), a_request("头", 40)]
    assert a_generator(folder).answer(requests) == llama.answer(requests)


def test_old_advice_in_the_model_configuration_does_no_harm(
    llama: GreedyGenerator, tiny_llama: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "old"
    shutil.copytree(tiny_llama, folder)
    (folder / "generation_config.json").unlink()
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "temperature": 0.5, "repetition_penalty": 1.5}))
    requests = [a_request("痛" * 9, 40)]
    assert a_generator(folder).answer(requests) == llama.answer(requests)


def test_a_batch_larger_than_the_set_and_an_empty_set(
    llama: GreedyGenerator, tmp_path: Path
) -> None:
    store = CompletionStore(tmp_path / "c.jsonl")
    assert generate(llama, [], store) == {}
    requests = [a_request("头痛", 4, id_="a"), a_request("头痛", 4, id_="b")]
    done = generate(llama, requests, store)
    assert done["a"].text == done["b"].text
    assert len(CompletionStore(tmp_path / "c.jsonl")) == 2


def test_a_closed_generator_says_so(tiny_llama: Path) -> None:
    generator = a_generator(tiny_llama)
    generator.close()
    with pytest.raises(RuntimeError, match="closed"):
        generator.answer([a_request("头痛")])


def test_the_most_seconds_grow_with_the_caps_and_asking_leaves_no_trace(
    llama: GreedyGenerator,
) -> None:
    short, long = a_request("头痛", 5), a_request("头痛", 5000)
    before = llama.answer([short])
    assert llama.most_seconds([]) == 0.0
    assert 0.0 < llama.most_seconds([[short]]) < llama.most_seconds([[short, long]] * 3)
    assert llama.answer([short]) == before
