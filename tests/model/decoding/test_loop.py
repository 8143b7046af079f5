"""The decoding loop against transformers' `generate`, token for token."""

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st

from chmed_ner.model.asking import Request
from chmed_ner.model.decoding.greedy import GreedyGenerator
from chmed_ner.model.decoding.local import ROUNDS, LocalGenerator, understood
from chmed_ner.model.decoding.loop import shared_prefix
from chmed_ner.model.kernels.attention import asked_states, cache_attention_in
from chmed_ner.model.kernels.cache import SlotCache
from chmed_ner.model.kernels.head import first_largest
from chmed_ner.model.kernels.layers import merged_layers_in
from chmed_ner.model.kernels.packing import pack
from chmed_ner.model.kernels.replacing import Layouts, fast_products_in, fused_norms_in
from chmed_ner.run.config import option

INSTRUCTION = "请列出句子中的医疗实体，每行一个。\n句子："


def both(folder: Path, slots: int, stop: tuple[str, ...] = ()) -> tuple[Any, Any]:
    """The loop and the plain path over one model in float32."""
    backbone = option(
        "backbone",
        "causal_lm",
        name="tiny",
        path=str(folder),
        dtype="float32",
        device="cpu",
        batch_size=slots,
    )
    loop = backbone.generator(stop=stop, seed=0)
    return loop, GreedyGenerator(loop.loaded, batch_size=slots, stop=stop)


def requests(texts: list[str], caps: list[int], before: str = INSTRUCTION) -> list[Request]:
    """One request a text, the caps in turn."""
    return [
        Request(str(n), "test", "FT", f"{before}{text}\n医疗实体：\n", caps[n % len(caps)])
        for n, text in enumerate(texts)
    ]


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gemma3", "tiny_chat"])
def test_same_answers_as_generate(
    name: str, request: pytest.FixtureRequest, sample_sentences: list[str]
) -> None:
    """Answers of many lengths, so that sentences leave and enter all the time."""
    loop, plain = both(request.getfixturevalue(name), slots=5, stop=("痛", "的，", "\n\n"))
    asked = requests(sample_sentences[:48], [1, 40, 7, 3, 60, 18, 2])
    replies = loop.answer(asked)
    assert replies == plain.answer(asked)
    assert {reply.stop for reply in replies} == {"end", "length"}
    assert len({reply.completion_tokens for reply in replies}) > 6


@pytest.mark.parametrize(
    "texts", [["头痛"], ["头痛"] * 9, ["痛" * 442, "痛", "头\n痛", "😀é́", " "]]
)
@pytest.mark.parametrize("slots", [1, 4, 64])
def test_odd_batches(tiny_gemma3: Path, texts: list[str], slots: int) -> None:
    """One sentence, all alike, 442 characters beside one, batches larger than the set."""
    loop, plain = both(tiny_gemma3, slots)
    asked = requests(texts, [90, 6])
    assert loop.answer(asked) == plain.answer(asked)
    assert loop.answer([]) == []


def test_prompts_without_a_common_beginning(tiny_llama: Path, sample_sentences: list[str]) -> None:
    loop, plain = both(tiny_llama, slots=3)
    asked = requests(sample_sentences[:7], [12], before="")
    assert shared_prefix([loop.prompt_ids(each) for each in asked]) == []
    assert loop.answer(asked) == plain.answer(asked)


@pytest.mark.parametrize(
    ("prompts", "prefix"),
    [
        ([], []),
        ([[1]], []),
        ([[1, 2]], [1]),
        ([[1, 2], [1, 2]], [1]),
        ([[1, 2, 3], [1, 2]], [1]),
        ([[1, 2, 3, 4], [1, 2, 9, 4], [1, 2, 3, 5]], [1, 2]),
        ([[5], [1, 2]], []),
    ],
)
def test_the_prefix_leaves_every_prompt_a_token(prompts: list[list[int]], prefix: Any) -> None:
    assert shared_prefix(prompts) == prefix


def test_a_planned_batch_holds_several_rounds(tiny_llama: Path) -> None:
    loop, _ = both(tiny_llama, slots=4)
    assert loop.batch_size == 4 * ROUNDS


def test_the_model_attends_as_before_afterwards(tiny_llama: Path) -> None:
    """Training goes on with the same model."""
    loop, _ = both(tiny_llama, slots=2)
    loop.answer(requests(["头痛"], [3]))
    assert loop.loaded.model.config._attn_implementation == "sdpa"


FAMILIES: dict[str, dict[str, dict[str, Any]]] = {
    "Llama": {"bias": {"attention_bias": True}},
    "Qwen2": {"window": {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}},
    "Qwen3": {"plain": {}},
    "Glm": {"plain": {}},
    "Glm4": {"plain": {}},
    "Mistral": {"window": {"sliding_window": 5}},
    "Gemma2": {"softcap": {"sliding_window": 7, "query_pre_attn_scalar": 16}},
    "Cohere2": {"window": {"sliding_window": 6}},
    "Granite": {"scaled": {"logits_scaling": 4.0, "attention_multiplier": 0.3}},
    "Mixtral": {"experts": {}},
}


def a_model(family: str, changes: dict[str, Any]) -> Any:
    """A random model of three small layers."""
    import transformers

    sizes = {
        "vocab_size": 300,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "initializer_range": 0.15,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    config = getattr(transformers, f"{family}Config")(**{**sizes, **changes})
    torch.manual_seed(1)
    name = family.removesuffix("Text")  # Gemma 3 names its text model's configuration alone so
    return getattr(transformers, f"{name}ForCausalLM")(config).eval()


@pytest.mark.parametrize(
    ("family", "changes"),
    [(name, changes) for name, kinds in FAMILIES.items() for changes in kinds.values()],
    ids=[f"{name}-{kind}" for name, kinds in FAMILIES.items() for kind in kinds],
)
def test_packing_serves_this_family(family: str, changes: dict[str, Any]) -> None:
    prompts = [[(7 * n + 3 * at) % 290 + 5 for at in range(n)] for n in (30, 1, 12)]
    assert understood(a_model(family, changes), prompts, {})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("family", "norms"), [("Llama", 7), ("Gemma2", 13), ("Qwen3", 13), ("Cohere2", 0)]
)
def test_fused_norms_change_no_bit_and_are_gone_afterwards(
    family: str, norms: int, dtype: torch.dtype
) -> None:
    model = a_model(family, {}).to(dtype)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, 0.8, 0.4)
    ids = torch.arange(5, 45).view(2, 20)
    with torch.inference_mode():
        before = model(ids).logits
        with fused_norms_in(model) as count:
            assert count == norms
            assert torch.equal(model(ids).logits, before)
    assert not any("forward" in vars(module) for module in model.modules())


@pytest.mark.parametrize("family", ["Llama", "Gemma2", "Qwen3"])
def test_fast_products_change_no_bit_and_are_gone_afterwards(family: str) -> None:
    model = a_model(family, {}).to(torch.bfloat16)
    linear = [module for module in model.modules() if type(module) is torch.nn.Linear]
    layouts: Layouts = {}
    with torch.inference_mode():
        for rows in (1, 7, 40):
            ids = torch.arange(5, 5 + rows).view(rows, 1)
            before = model(ids).logits
            for head in (True, False):
                with fast_products_in(model, layouts, head=head) as count:
                    assert count == len(linear) - (not head)
                    assert torch.equal(model(ids).logits, before)
    assert set(layouts) == set(linear)
    assert not any("forward" in vars(module) for module in model.modules())


def test_weights_in_float32_are_read_as_they_are() -> None:
    with fast_products_in(a_model("Llama", {}), {}, head=True) as count:
        assert count == 0


def states_of(model: Any, layouts: Layouts | None) -> torch.Tensor:
    """The states behind rows that bring a prompt, some tokens or one; `layouts` to merge layers.

    Those behind the last token are asked for, and behind a few more of some rows.
    """
    cache = SlotCache(3, 4, 20, 20)
    found = []
    lengths = [12, 3, 1, 14]
    for starts, counts, asked in (([0] * 4, lengths, None), (lengths, [1, 5, 1, 2], [1, 3, 1, 2])):
        tokens = [
            (7 * n + 3 * at) % 290 + 5 for n, count in enumerate(counts) for at in range(count)
        ]
        merging = nullcontext() if layouts is None else merged_layers_in(model, layouts)
        with torch.inference_mode(), cache_attention_in(model), merging:
            packing = pack(starts, counts, cache, "cpu", asked)
            found.append(asked_states(model, tokens, packing, cache))
    assert [len(states) for states in found] == [4, 7]
    return torch.cat(found).float()


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("Llama", {"attention_bias": True}),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
        ("Qwen3", {}),
        ("Gemma2", {"sliding_window": 7, "query_pre_attn_scalar": 16}),
        ("Gemma3Text", {"sliding_window": 7}),
        ("Gemma3Text", {"num_key_value_heads": 1}),
    ],
)
def test_merged_layers_compute_what_the_models_layers_do(
    family: str, changes: dict[str, Any]
) -> None:
    """They are as near to the model in float32 as the model's own layers in bfloat16 are."""
    exact = a_model(family, changes)
    for name, parameter in exact.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, 0.8, 0.4)
        parameter.data = parameter.data.to(torch.bfloat16).float()
    wanted = states_of(exact, None)
    model = exact.to(torch.bfloat16)
    layouts: Layouts = {}
    with merged_layers_in(model, layouts) as count:
        assert count == 3
    own, merged = (states_of(model, each) for each in (None, layouts))
    assert not torch.equal(own, merged)
    assert not any("forward" in vars(module) for module in model.modules())
    error = (merged - wanted).norm() / wanted.norm()
    assert error < 1.5 * (own - wanted).norm() / wanted.norm()
    assert error < 0.04


@pytest.mark.parametrize("family", ["Llama", "Mistral", "Glm4"])
def test_layers_of_other_kinds_are_not_merged(family: str) -> None:
    model = a_model(family, {}).to(torch.float32 if family == "Llama" else torch.bfloat16)
    with merged_layers_in(model, {}) as count:
        assert count == 0


@given(
    st.integers(0, 2**32),
    st.sampled_from([(4, 512), (3, 2048), (5, 97)]),
    st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_of_equal_logits_the_first_is_the_likeliest(
    seed: int, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    logits = torch.randint(0, 30, shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    assert first_largest(logits).tolist() == [row.index(max(row)) for row in logits.tolist()]


@pytest.mark.parametrize("family", ["GptOss", "Bloom"])
def test_packing_knows_what_it_does_not_serve(family: str) -> None:
    """Attention with sinks; position by biases, outside the attention interface."""
    prompts = [[(7 * n + 3 * at) % 290 + 5 for at in range(n)] for n in (30, 1, 12)]
    model = a_model(family, {})
    before = model.config._attn_implementation
    assert not understood(model, prompts, {})
    assert model.config._attn_implementation == before


def test_another_architecture_is_decoded_by_generate(
    tiny_llama: Path, caplog: pytest.LogCaptureFixture, sample_sentences: list[str]
) -> None:
    from dataclasses import replace

    loop, _ = both(tiny_llama, slots=2)
    model = a_model("GptOss", {})
    model.resize_token_embeddings(len(loop.loaded.tokenizer))
    loaded = replace(loop.loaded, model=model)
    generator = LocalGenerator(loaded, batch_size=2, stop=())
    asked = requests(sample_sentences[:5], [4, 9])
    with caplog.at_level(logging.WARNING):
        replies = generator.answer(asked)
    assert "GptOssForCausalLM" in caplog.text
    assert replies == GreedyGenerator(loaded, batch_size=5, stop=()).answer(asked)
