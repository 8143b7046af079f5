"""ChatGLM2-6B and Baichuan-7B against what their original code computed (the fixtures)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chmed_ner.backbone import load_causal_lm, load_tokenizer
from chmed_ner.model.asking import wrapping

KINDS = ("chatglm2_6b_tiny", "baichuan_7b_tiny")
CASES = ("single", "one_token", "long", "batch_equal", "left_padded")


@pytest.fixture(scope="module", params=KINDS)
def reference(request: pytest.FixtureRequest, fixtures_dir: Path) -> Path:
    return fixtures_dir / str(request.param)


@pytest.fixture(scope="module", params=["checkpoint", "checkpoint_safetensors"])
def stored(request: pytest.FixtureRequest, reference: Path) -> Path:
    return reference / str(request.param)


@pytest.fixture(scope="module", params=["eager", "sdpa"])
def loaded(
    request: pytest.FixtureRequest, stored: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any]:
    cache = str(tmp_path_factory.mktemp("cache"))
    return load_causal_lm(
        stored, dtype="float32", device="cpu", attention=request.param, cache=cache
    )


def arrays(reference: Path, prefix: str, *names: str) -> list[torch.Tensor]:
    with np.load(reference / "reference.npz") as stored:
        return [torch.from_numpy(stored[f"{prefix}.{name}"]) for name in names]


@pytest.mark.parametrize("case", CASES)
def test_logits_and_greedy_tokens(loaded: tuple[Any, Any], reference: Path, case: str) -> None:
    model, _ = loaded
    ids, mask, logits, greedy, top = arrays(
        reference,
        case,
        *("input_ids", "attention_mask", "logits", "greedy_new_ids", "greedy_step_logits_top1"),
    )
    with torch.inference_mode():
        found = model(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(found * mask[..., None], logits, atol=1e-4, rtol=0)
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=greedy.shape[1],
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    assert torch.equal(output.sequences[:, ids.shape[1] :], greedy)
    best = torch.stack([step.max(-1).values for step in output.logits], dim=1)
    torch.testing.assert_close(best, top, atol=1e-4, rtol=0)


def test_hidden_states(loaded: tuple[Any, Any], reference: Path) -> None:
    model, _ = loaded
    (ids,) = arrays(reference, "single", "input_ids")
    layers = model.config.num_hidden_layers
    expected = arrays(reference, "single", *(f"hidden_{n}" for n in range(layers)))
    with torch.inference_mode():
        found = model(input_ids=ids, output_hidden_states=True).hidden_states
    for ours, theirs in zip(found, expected, strict=False):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("name", "masked"), [("loss", False), ("loss_with_mask", True)])
def test_training_loss(loaded: tuple[Any, Any], reference: Path, name: str, masked: bool) -> None:
    model, _ = loaded
    ids, labels, mask, expected = arrays(
        reference, "train", "input_ids", "labels", "attention_mask", name
    )
    with torch.inference_mode():
        loss = model(input_ids=ids, labels=labels, attention_mask=mask if masked else None).loss
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=0)


def test_text_to_text(loaded: tuple[Any, Any], reference: Path) -> None:
    model, tokenizer = loaded
    content = json.loads((reference / "reference.json").read_text(encoding="utf-8"))
    assert content["end_to_end"]
    for each in content["end_to_end"]:
        ids = tokenizer.encode(each["prompt"])
        assert ids == each["prompt_ids"]
        count = len(each["new_ids"])
        output = model.generate(torch.tensor([ids]), max_new_tokens=count, do_sample=False)
        new = output[0, len(ids) :].tolist()
        assert new == each["new_ids"]
        assert tokenizer.decode(new, skip_special_tokens=True) == each["decoded"]


# ---------------------------------------------------------------- tokenizers


@pytest.fixture(scope="module", params=["tiny", "real"])
def expected(request: pytest.FixtureRequest, reference: Path) -> tuple[dict[str, Any], Any]:
    """What the original tokenizer class gave, and our tokenizer on the same files."""
    if request.param == "tiny":
        file, folder = reference / "tiny_tokenizer_expected.json", reference / "checkpoint"
    else:
        file, folder = reference / "real_tokenizer/expected.json", reference / "real_tokenizer"
    return json.loads(file.read_text(encoding="utf-8")), load_tokenizer(folder)


CONTROL_TEXT_THAT_DIFFERS: dict[str, str] = {}
"""Strings with a literal `<s>`, `</s>` or `<unk>` that may differ from the original: text -> why.

None does, for either tokenizer, tiny or real.
"""


def ours(tokenizer: Any, text: str) -> dict[str, Any]:
    """A string through our tokenizer, under the names of the fixture."""
    ids, plain = tokenizer.encode(text), tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer(text)["input_ids"] == ids
    decoded = tokenizer.batch_decode([ids, plain])
    assert decoded == [tokenizer.decode(ids), tokenizer.decode(plain)]
    return {
        "ids": ids,
        "ids_no_special": plain,
        "tokens": tokenizer.tokenize(text),
        "decoded": decoded[0],
        "decoded_no_special": decoded[1],
        "decoded_skip_special": tokenizer.decode(ids, skip_special_tokens=True),
    }


def test_every_string(expected: tuple[dict[str, Any], Any]) -> None:
    """Those with control text too, except for those that are listed."""
    content, tokenizer = expected
    assert len(content["strings"]) > 40
    for each in content["strings"]:
        found = ours(tokenizer, each["text"])
        if each["text"] not in CONTROL_TEXT_THAT_DIFFERS:
            assert found == {name: each[name] for name in found}


def test_the_control_text_that_differs_is_listed(expected: tuple[dict[str, Any], Any]) -> None:
    content, tokenizer = expected
    flagged = [each for each in content["strings"] if each["has_control_text"]]
    assert flagged
    differing = {
        each["text"]
        for each in flagged
        if any(each[name] != value for name, value in ours(tokenizer, each["text"]).items())
    }
    assert differing == {each["text"] for each in flagged} & CONTROL_TEXT_THAT_DIFFERS.keys()


def test_chats_and_prompts(expected: tuple[dict[str, Any], Any]) -> None:
    content, tokenizer = expected
    for each in content.get("chat", []):
        turns = [(*pair, "user", "assistant") for pair in each["history"]]
        messages = [
            {"role": role, "content": text}
            for question, answer, *roles in turns
            for role, text in zip(roles, (question, answer), strict=True)
        ]
        messages.append({"role": "user", "content": each["query"]})
        options: dict[str, Any] = {"add_generation_prompt": True}
        written = tokenizer.apply_chat_template(messages, tokenize=False, **options)
        assert written == each["prompt"]
        assert tokenizer.apply_chat_template(messages, **options)["input_ids"] == each["ids"]
        if not each["history"]:
            assert wrapping(tokenizer, "auto", {}).prompt_ids(each["query"]) == each["ids"]
    for each in content.get("prompts", []):
        assert wrapping(tokenizer, "auto", {}).prompt_ids(each["prompt"]) == each["ids"]


def test_a_padded_batch(expected: tuple[dict[str, Any], Any]) -> None:
    content, tokenizer = expected
    batch = content.get("batch_padded")
    if batch is None:
        pytest.skip("the fixture has none for this tokenizer")
    for found in (
        tokenizer(batch["prompts"], padding=True),
        tokenizer.pad({"input_ids": [tokenizer.encode(text) for text in batch["prompts"]]}),
    ):
        assert found["input_ids"] == batch["input_ids"]
        assert found["attention_mask"] == batch["attention_mask"]


def test_special_tokens(expected: tuple[dict[str, Any], Any]) -> None:
    content, tokenizer = expected
    assert tokenizer.vocab_size == len(tokenizer) == content["vocab_size"]
    special = {key.strip("<>"): number for key, number in content["special"].items()}
    for key in ("bos", "eos", "unk", "pad"):
        if special.get(key) is not None:
            assert getattr(tokenizer, f"{key}_token_id") == special.pop(key)
    special.pop("pad", None)  # none in Baichuan's original, where ours pads with the unknown piece
    for token, number in special.items():
        assert tokenizer.convert_tokens_to_ids(token) == number
        assert tokenizer.convert_ids_to_tokens(number) == token


def test_training_pairs(expected: tuple[dict[str, Any], Any]) -> None:
    content, tokenizer = expected
    wrapped = wrapping(tokenizer, "auto", {})
    for each in content.get("training_pairs", []):
        prompt, answer = wrapped.prompt_ids(each["query"]), wrapped.answer_ids(each["answer"])
        assert prompt + answer == each["input_ids"]
        assert [-100] * len(prompt) + answer == each["labels"]
