"""Loading checkpoints from folders, good and bad."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from chmed_ner.backbone import load_causal_lm, load_tokenizer
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Request
from chmed_ner.model.checkpoint.hardware import torch_device, torch_dtype
from chmed_ner.run.config import option


@pytest.fixture
def checkpoint(tiny_llama: Path, tmp_path: Path) -> Path:
    """A copy of the tiny Llama to be spoiled."""
    return Path(shutil.copytree(tiny_llama, tmp_path / "checkpoint"))


def configure(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None takes a key away."""
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    kept = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


def test_model_and_tokenizer_from_a_folder(tiny_llama: Path, sample_sentences: list[str]) -> None:
    model, tokenizer = load_causal_lm(tiny_llama, dtype="float32", device="cpu")
    assert type(model).__name__ == "LlamaForCausalLM"
    assert not model.training
    stored = load_file(tiny_llama / "model.safetensors")
    assert torch.equal(model.lm_head.weight, stored["lm_head.weight"])
    for sentence in sample_sentences[:50]:
        assert tokenizer.decode(tokenizer.encode(sentence)) == sentence
    padded = tokenizer(["头痛", "头"], padding=True)
    assert padded["attention_mask"][1][0] == 0  # on the left
    alone = load_tokenizer(str(tiny_llama))
    assert alone.encode(sample_sentences[0]) == tokenizer.encode(sample_sentences[0])


def test_the_tokenizer_needs_the_tokenizer_files_only(tiny_llama: Path, tmp_path: Path) -> None:
    for file in tiny_llama.glob("tokenizer*"):
        shutil.copy(file, tmp_path)
    assert load_tokenizer(tmp_path).encode("头痛") == load_tokenizer(tiny_llama).encode("头痛")


def test_where_no_padding_token_is_named_the_end_token_pads(checkpoint: Path) -> None:
    configure(checkpoint / "tokenizer_config.json", pad_token=None)
    tokenizer = load_tokenizer(checkpoint)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtype(tiny_llama: Path, dtype: str) -> None:
    model, _ = load_causal_lm(tiny_llama, dtype=dtype, device="cpu")
    assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}


def test_dtype_auto_is_one_the_hardware_is_good_at(tiny_llama: Path) -> None:
    model, _ = load_causal_lm(tiny_llama, device="cpu")
    assert model.dtype in (torch.float32, torch.bfloat16)
    assert model.dtype == torch_dtype("auto", torch.device("cpu"))


def test_device(tiny_llama: Path) -> None:
    model, _ = load_causal_lm(tiny_llama, device="auto")
    assert model.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("device", ["gpu", "mps", "meta", "xpu", "cuda:99", "", "cuda:x"])
def test_a_bad_device_is_named(device: str) -> None:
    with pytest.raises(InputError, match=rf"backbone\.device='{device}': "):
        torch_device(device)


def test_a_bad_dtype_is_named_before_anything_is_loaded() -> None:
    with pytest.raises(InputError, match=r"backbone\.dtype='int8': choose one of auto, bfloat16"):
        load_causal_lm("/no/such/folder", dtype="int8", device="cpu")


def test_attention(tiny_llama: Path) -> None:
    ids = torch.arange(4, 40)[None]
    models = [
        load_causal_lm(tiny_llama, dtype="float32", device="cpu", attention=attention)[0]
        for attention in ("sdpa", "eager")
    ]
    assert [model.config._attn_implementation for model in models] == ["sdpa", "eager"]
    with torch.inference_mode():
        torch.testing.assert_close(models[0](ids).logits, models[1](ids).logits)


@pytest.mark.parametrize("attention", ["flash", "quick"])
def test_a_bad_attention_is_named(tiny_llama: Path, attention: str) -> None:
    with pytest.raises(InputError, match=r"backbone\.attention: .*backbone\.attention=eager"):
        load_causal_lm(tiny_llama, device="cpu", attention=attention)


def pickled(folder: Path) -> None:
    """Safetensors weights turned into a pickle."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def cut(name: str, keep: int) -> Callable[[Path], None]:
    """Keeps so many bytes of a file."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:keep]) and None


def changed(name: str, **changes: Any) -> Callable[[Path], None]:
    """Changes keys of a JSON file."""
    return lambda folder: configure(folder / name, **changes)


def tensors(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Path], None]:
    """Changes the weights."""

    def spoil(folder: Path) -> None:
        file = folder / "model.safetensors"
        save_file(change(load_file(file)), file, metadata={"format": "pt"})

    return spoil


def added(*names: str) -> Callable[[Path], None]:
    """Adds weights."""
    return tensors(lambda found: {**found, **{name: torch.zeros(64) for name in names}})


def renamed(old: str, new: str) -> Callable[[Path], None]:
    """Weights with other names."""
    return tensors(lambda found: {name.replace(old, new): each for name, each in found.items()})


def without(*names: str) -> Callable[[Path], None]:
    """Takes files away."""
    return lambda folder: [(folder / name).unlink() for name in names] and None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "cannot be loaded"),
        (without("config.json"), "config.json"),
        (cut("config.json", 20), "not a valid JSON"),
        (changed("config.json", model_type="no_such_model"), "no_such_model"),
        (changed("config.json", hidden_size=32), "cannot be loaded"),
        (changed("config.json", hidden_size="wide"), "hidden_size"),
        (changed("config.json", num_hidden_layers=3), r"9 weights .* missing.*model\.layers\.2"),
        (changed("config.json", num_hidden_layers=1), r"9 weights have no place.*layers\.1"),
        (added("model.layers.0.self_attn.q_proj.bias"), "1 weights have no place.*q_proj"),
        (renamed("norm", "other_norm"), "4 weights have no place"),
        (changed("config.json", model_type="gpt2"), "weights are missing"),
        (without("model.safetensors"), r"pickled \.bin files are read only"),
        (pickled, r"pickled \.bin files are read only"),
        (cut("model.safetensors", 1000), "cannot be loaded"),
        (cut("model.safetensors", 500_000), "cannot be loaded"),
        (cut("model.safetensors", 0), "cannot be loaded"),
        (without("tokenizer.json", "tokenizer_config.json"), "tokenizer files"),
        (cut("tokenizer.json", 1000), "tokenizer files"),
        (changed("tokenizer_config.json", eos_token=None), "no end token"),
    ],
)
def test_a_spoiled_checkpoint_is_refused(
    checkpoint: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(checkpoint)
    with pytest.raises(InputError, match=message) as caught:
        load_causal_lm(checkpoint, dtype="float32", device="cpu")
    assert str(checkpoint) in str(caught.value)


def test_heads_of_other_kinds_and_old_constants_are_no_part_of_the_model(checkpoint: Path) -> None:
    model, _ = load_causal_lm(checkpoint, dtype="float32", device="cpu")
    added("v_head.weight", "model.layers.0.self_attn.rotary_emb.inv_freq")(checkpoint)
    again, _ = load_causal_lm(checkpoint, dtype="float32", device="cpu")
    found = again.state_dict()
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[name], each) for name, each in model.state_dict().items())


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        (
            "config.json",
            {
                "model_type": "their_own",
                "auto_map": {"AutoConfig": "their.Config", "AutoModelForCausalLM": "their.Model"},
            },
        ),
        (
            "tokenizer_config.json",
            {"tokenizer_class": "Theirs", "auto_map": {"AutoTokenizer": ["their.Theirs", None]}},
        ),
    ],
)
def test_code_in_a_checkpoint_is_neither_run_nor_asked_about(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, file: str, settings: dict[str, Any]
) -> None:
    questions: list[Any] = []
    monkeypatch.setattr("builtins.input", lambda *words: questions.append(words) or "n")
    trace = checkpoint.parent / "was_run"
    (checkpoint / "their.py").write_text(f"open({str(trace)!r}, 'w').close()\n", encoding="utf-8")
    configure(checkpoint / file, **settings)
    with pytest.raises(InputError, match="custom code"):
        load_causal_lm(checkpoint, device="cpu")
    assert questions == []
    assert not trace.exists()


def test_a_path_that_is_no_checkpoint_is_refused_before_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    for path in (str(tmp_path / "absent"), "./absent", "~/absent", "empty", str(tmp_path)):
        with pytest.raises(InputError, match=r"backbone\.path=.*no config\.json there"):
            option("backbone", "causal_lm", name="mine", path=path).check()
    with pytest.raises(InputError, match=r"backbone=mine needs backbone\.path"):
        option("backbone", "causal_lm", name="mine", path=None).check()
    option("backbone", "causal_lm", name="mine", path="someone/some-model").check()
    option("backbone", "gemma3_270m").check()
    with pytest.raises(InputError, match="no config"):
        option("backbone", "gemma3_270m", path="empty").check()
    with pytest.raises(InputError, match=r"backbone\.batch_size=0"):
        option("backbone", "causal_lm", name="mine", path=None, batch_size=0)


def test_a_relative_folder_is_a_folder(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkpoint.parent)
    backbone = option(
        "backbone", "causal_lm", name="mine", path="checkpoint", dtype="float32", device="cpu"
    )
    backbone.check()
    assert backbone.location() == str(checkpoint)
    assert (
        backbone.checksum()
        == option("backbone", "causal_lm", name="mine", path=str(checkpoint)).checksum()
    )
    assert backbone.load().model.dtype == torch.float32


def test_the_checksum_covers_whatever_changes_an_answer(checkpoint: Path) -> None:
    seen = {option("backbone", "causal_lm", name="mine", path=str(checkpoint)).checksum()}
    weights = load_file(checkpoint / "model.safetensors")
    weights["lm_head.weight"][0, 0] += 1
    changes: list[Callable[[], Any]] = [
        lambda: save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"}),
        lambda: configure(checkpoint / "config.json", rms_norm_eps=1e-5),
        lambda: configure(checkpoint / "generation_config.json", eos_token_id=[1, 3]),
        lambda: configure(checkpoint / "tokenizer_config.json", pad_token="<turn>"),
        lambda: (checkpoint / "chat_template.jinja").write_text("{{ messages[0].content }}"),
    ]
    for change in changes:
        change()
        seen.add(option("backbone", "causal_lm", name="mine", path=str(checkpoint)).checksum())
    assert len(seen) == len(changes) + 1
    (checkpoint / "README.md").write_text("Nothing new.", encoding="utf-8")
    (checkpoint.parent / "moved").mkdir()
    moved = shutil.copytree(checkpoint, checkpoint.parent / "moved" / "here")
    assert (
        option(
            "backbone", "causal_lm", name="other name", path=str(moved), dtype="float32"
        ).checksum()
        in seen
    )


def test_the_checksum_of_a_hub_id_names_its_revision() -> None:
    assert (
        option("backbone", "causal_lm", name="m", path="someone/model").checksum()
        == "someone/model@main"
    )
    assert (
        option("backbone", "causal_lm", name="m", path="someone/model", revision="abc").checksum()
        == "someone/model@abc"
    )


def test_a_token_that_the_model_does_not_know_is_named(checkpoint: Path) -> None:
    """Gemma 3's tokenizer knows images, of which the text model has no embedding."""
    tokenizer = load_tokenizer(checkpoint)
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    tokenizer.save_pretrained(checkpoint)
    backbone = option("backbone", "causal_lm", name="x", path=str(checkpoint), device="cpu")
    loaded = backbone.load()
    assert loaded.wrapping.prompt_ids("头痛") == tokenizer.encode("头痛")
    for encode in (loaded.wrapping.prompt_ids, loaded.wrapping.answer_ids):
        with pytest.raises(
            InputError, match=r"'<image>': token 512 is beyond .* 512 rows; take it"
        ):
            encode("头<image>痛")


def test_gemma3_from_another_folder(tiny_gemma3: Path) -> None:
    backbone = option(
        "backbone", "gemma3_270m", path=str(tiny_gemma3), dtype="float32", device="cpu"
    )
    assert (
        backbone.checksum()
        == option("backbone", "causal_lm", name="x", path=str(tiny_gemma3)).checksum()
    )
    reply = backbone.generator(stop=(), seed=0).answer([Request("a", "test", "FT", "头痛", 4)])[0]
    assert reply.completion_tokens == 4
