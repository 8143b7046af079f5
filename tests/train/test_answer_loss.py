"""The fast loss against the plain one: a full forward pass, cross-entropy on answer tokens."""

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn import functional

from chmed_ner.backbone import load_causal_lm
from chmed_ner.model.kernels.adapters import fused_layers_in
from chmed_ner.model.kernels.attention import by_products, by_torch
from chmed_ner.model.kernels.head import SLICE
from chmed_ner.train.answer_loss import answer_loss, packable
from chmed_ner.train.learning_regimes import with_adapter
from chmed_ner.train.recipe import WIDTH_STEP, Example, shared_prefix
from chmed_ner.train.states import IGNORED, padded

VOCABULARY = 97
SIZE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.15,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
WINDOW = {
    "head_dim": 16,
    "sliding_window": 6,
    "layer_types": ["sliding_attention", "full_attention"],
}
ARCHITECTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", {"tie_word_embeddings": False}),
    "llama_tied": ("LlamaConfig", "LlamaForCausalLM", {"tie_word_embeddings": True}),
    "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM", WINDOW),
    "gemma2_capped": (
        "Gemma2Config",
        "Gemma2ForCausalLM",
        {**WINDOW, "final_logit_softcapping": 3.0},
    ),
    "cohere_scaled": ("CohereConfig", "CohereForCausalLM", {"logit_scale": 0.25}),
    "granite_divided": ("GraniteConfig", "GraniteForCausalLM", {"logits_scaling": 4.0}),
    "phi_bias": ("PhiConfig", "PhiForCausalLM", {}),
}


def a_model(architecture: str, targets: Any = "all-linear", attention: str | None = None) -> Any:
    """A random model in float32 with adapters that already change what it says."""
    import transformers

    config_class, model_class, changes = ARCHITECTURES[architecture]
    torch.manual_seed(1)
    config = getattr(transformers, config_class)(**{**SIZE, **changes})
    config._attn_implementation = attention
    model = getattr(transformers, model_class)(config).float()
    tuned = with_adapter(model, rank=4, alpha=8.0, dropout=0.0, targets=targets)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.1)
            elif name.endswith("lm_head.bias"):
                parameter.normal_()
    return tuned.get_base_model()


@cache
def one_gemma3() -> Any:
    """One for all of Hypothesis's examples."""
    return a_model("gemma3")


def a_batch(lengths: list[tuple[int, int]], shared: int, seed: int = 0) -> list[Example]:
    """Examples of (own prompt tokens, answer tokens) behind `shared` common tokens."""
    chance = random.Random(seed)
    common = tuple(chance.randrange(3, VOCABULARY) for _ in range(shared))
    batch = []
    for number, (own, answer) in enumerate(lengths):
        rest = [chance.randrange(3, VOCABULARY) for _ in range(own + answer)]
        rest[0] = 3 + number  # no token more is shared
        batch.append(Example((*common, *rest[:own]), tuple(rest[own:])))
    return batch


def plain_loss(model: Any, batch: list[Example]) -> torch.Tensor:
    """What the fast loss must equal: each example alone, all logits, no cache, no padding."""
    losses = []
    for example in batch:
        ids = torch.tensor([[*example.prompt, *example.answer]])
        logits = model(input_ids=ids, use_cache=False).logits[0, len(example.prompt) - 1 : -1]
        losses.append(
            functional.cross_entropy(logits.float(), torch.tensor(example.answer), reduction="none")
        )
    return torch.cat(losses).mean()


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """d loss / d parameter of everything that is trained."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, list(trained.values()))
    return dict(zip(trained, found, strict=True))


def assert_same(model: Any, batch: list[Example], prefix: tuple[int, ...]) -> None:
    """The loss and the gradient of everything trained agree, to float32's accuracy.

    Padded, packed, and packed with fused layers.
    """
    plain = plain_loss(model, batch)
    theirs = gradients(model, plain)
    assert_near(model, answer_loss(model, batch, prefix), plain, theirs)
    if not packable(model, batch, prefix):
        return
    assert_near(model, answer_loss(model, batch, prefix, packed=True), plain, theirs)
    with fused_layers_in(model) as count:
        assert count > 0
        assert_near(model, answer_loss(model, batch, prefix, packed=True), plain, theirs)


def assert_near(
    model: Any, loss: torch.Tensor, plain: torch.Tensor, theirs: dict[str, torch.Tensor]
) -> None:
    """`loss` and its gradients are `plain` and `theirs`."""
    torch.testing.assert_close(loss, plain, rtol=1e-5, atol=1e-6)
    ours = gradients(model, loss)
    assert ours.keys() == theirs.keys()
    largest = max(float(gradient.abs().max()) for gradient in theirs.values())
    assert largest > 1e-3
    for name, expected in theirs.items():
        error = float((ours[name] - expected).abs().max())
        scale = max(float(expected.abs().max()), 0.01 * largest)
        assert error <= 1e-4 * scale, f"{name}: off by {error} of {scale}"


UNEVEN = [(3, 5), (9, 1), (1, 12), (6, 7)]


@pytest.mark.parametrize("shared", [0, 1, 5, 6, 7, 20])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_loss_and_gradients_equal_a_full_forward_pass(architecture: str, shared: int) -> None:
    """The prefixes end before, at, and behind the sliding window of 6 tokens."""
    model = a_model(architecture)
    batch = a_batch(UNEVEN, shared)
    assert len(shared_prefix(batch)) == shared
    assert_same(model, batch, shared_prefix(batch))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_these_architectures_are_packed(architecture: str) -> None:
    model = a_model(architecture)
    batch = a_batch(UNEVEN, 7)
    assert packable(model, batch, shared_prefix(batch))


def test_why_a_model_is_not_packed_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Memory that does not suffice is no property of the model."""
    model, batch = a_model("llama"), a_batch(UNEVEN, 7)
    error: Exception = ValueError("it has sinks")

    def refuse(_module: Any, _positional: Any, given: dict[str, Any]) -> None:
        if "packed" in given:
            raise error

    model.base_model.register_forward_pre_hook(refuse, with_kwargs=True)
    assert not packable(model, batch, shared_prefix(batch))
    assert "LlamaForCausalLM cannot read packed tokens (it has sinks)" in caplog.text
    error = torch.OutOfMemoryError("there is no more")
    with pytest.raises(torch.OutOfMemoryError):
        packable(model, batch, shared_prefix(batch))


@pytest.mark.parametrize(("heads", "kept"), [(4, 1), (4, 2), (3, 3)])
def test_torch_s_attention_is_that_of_products(heads: int, kept: int) -> None:
    """What a GPU computes, against what a processor computes; with the gradients."""
    torch.manual_seed(3)
    rows, count, columns, width = 3, 5, 9, 8
    shapes = [(rows, kept, heads // kept * count, width), *[(rows, kept, columns, width)] * 2]
    states = [torch.randn(shape, requires_grad=True) for shape in shapes]
    mask = torch.zeros(1, 1, count, columns).masked_fill_(
        torch.arange(columns) > torch.arange(count)[:, None] + columns - count, -torch.inf
    )
    found = []
    for attended in (
        by_products(*states, mask, 0.3, None, 0.0),
        by_torch(*states, mask, 0.3, 0.0),
    ):
        found.append([attended, *torch.autograd.grad(attended.square().sum(), states)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gemma2_capped"])
def test_the_prefix_may_be_shorter_than_what_is_shared(architecture: str) -> None:
    model = a_model(architecture)
    batch = a_batch(UNEVEN, 15)
    for length in (0, 1, 9):
        assert_same(model, batch, batch[0].prompt[:length])


def test_with_eager_attention() -> None:
    model = a_model("gemma3", attention="eager")
    batch = a_batch(UNEVEN, 10)
    assert_same(model, batch, shared_prefix(batch))


@pytest.mark.parametrize("architecture", ["llama", "gemma2_capped"])
def test_a_head_that_is_trained_itself(architecture: str) -> None:
    model = a_model(architecture)
    model.get_output_embeddings().weight.requires_grad_(True)
    batch = a_batch(UNEVEN, 4)
    assert_same(model, batch, shared_prefix(batch))


def test_a_head_with_an_adapter() -> None:
    model = a_model("llama", targets=["q_proj", "lm_head"])
    assert any("lm_head.lora_" in name for name, _ in model.named_parameters())
    batch = a_batch(UNEVEN, 4)
    assert_same(model, batch, shared_prefix(batch))


@pytest.mark.parametrize("count", [1, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE, 2 * SLICE + 3])
def test_any_number_of_answer_tokens_around_the_slice(count: int) -> None:
    model = a_model("llama")
    lengths = [(4, count)] if count == 1 else [(2, 1), (3, count - 1)]
    batch = a_batch(lengths, 3)
    assert sum(len(example.answer) for example in batch) == count
    assert_same(model, batch, shared_prefix(batch))


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=5),
    shared=st.integers(0, 12),
    seed=st.integers(0, 1000),
)
def test_any_batch(lengths: list[tuple[int, int]], shared: int, seed: int) -> None:
    model = one_gemma3()
    batch = a_batch(lengths, shared, seed)
    assert_same(model, batch, shared_prefix(batch))


def test_the_scale_of_the_outer_gradient_is_kept() -> None:
    """Gradient accumulation divides the loss: the custom backward must carry the factor."""
    model = a_model("llama")
    batch = a_batch(UNEVEN, 4)
    whole = gradients(model, answer_loss(model, batch, shared_prefix(batch)))
    third = gradients(model, answer_loss(model, batch, shared_prefix(batch)) / 3)
    for name, gradient in whole.items():
        torch.testing.assert_close(third[name], gradient / 3)


@pytest.mark.parametrize("checkpoint", ["tiny_llama", "tiny_gemma3"])
def test_bfloat16_is_near_float32(checkpoint: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(checkpoint)
    batch = a_batch(UNEVEN, 20)
    losses = [
        answer_loss(
            load_causal_lm(folder, dtype=dtype, device="cpu")[0], batch, batch[0].prompt[:9]
        )
        for dtype in ("float32", "bfloat16")
    ]
    assert {loss.dtype for loss in losses} == {torch.float32}
    torch.testing.assert_close(losses[1], losses[0], rtol=0.03, atol=0.0)


def test_labels_stand_one_position_before_their_tokens() -> None:
    ids, labels = padded(
        [Example((5, 6, 7), (8, 9)), Example((5, 6), (7,))], skip=1, device=torch.device("cpu")
    )
    assert ids.shape == labels.shape == (2, WIDTH_STEP)  # padded to a multiple of it
    assert ids[:, :4].tolist() == [[6, 7, 8, 9], [6, 7, 0, 0]]
    assert labels[:, :4].tolist() == [
        [IGNORED, 8, 9, IGNORED],
        [7, IGNORED, IGNORED, IGNORED],
    ]
    assert not ids[:, 4:].any()
    assert (labels[:, 4:] == IGNORED).all()
