"""Checkpoints in the original layouts: converted exactly once and exactly, or refused by name."""

import collections
import copy
import json
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from chmed_ner.backbone import load_causal_lm
from chmed_ner.errors import InputError
from chmed_ner.model.checkpoint.loading import transformers_checkpoint
from chmed_ner.model.original.converted import CHECKSUMS, converted_directory
from chmed_ner.model.original.known import layout_of
from chmed_ner.run.config import option

KINDS = ("chatglm2", "baichuan")
pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(params=KINDS)
def original(request: pytest.FixtureRequest) -> Any:
    """Either tiny checkpoint, in memory."""
    return request.getfixturevalue(request.param)


def same_model(found: Any, expected: Any) -> None:
    """Equal state dictionaries."""
    ours, theirs = found.state_dict(), expected.state_dict()
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize("pickled", [False, True])
def test_the_model_is_the_one_that_was_stored(
    original: Any, tmp_path: Path, cache: Path, pickled: bool
) -> None:
    folder = original.write(tmp_path / "model", pickled=pickled)
    model, tokenizer = load_causal_lm(folder, dtype="float32", device="cpu")
    assert type(model) is type(original.model)
    assert not model.training
    same_model(model, original.model)
    ids = torch.tensor([tokenizer.encode("患者头痛")])
    with torch.inference_mode():
        torch.testing.assert_close(model(ids).logits, original.model(ids).logits)
    assert model.generation_config.eos_token_id == 2
    assert list(cache.glob("converted/*/model.safetensors"))


def test_shards_old_pickles_and_half_precision(original: Any, tmp_path: Path, cache: Path) -> None:
    names = sorted(original.tensors)
    shards = {f"pytorch_model-0000{n + 1}-of-00003.bin": names[n::3] for n in range(3)}
    folder = original.write(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    for number, (file, part) in enumerate(shards.items()):
        tensors = collections.OrderedDict((name, original.tensors[name].half()) for name in part)
        torch.save(tensors, folder / file, _use_new_zipfile_serialization=number > 0)
    index = {"weight_map": {name: file for file, part in shards.items() for name in part}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    model, _ = load_causal_lm(folder, dtype="float32", device="cpu")
    same_model(model, copy.deepcopy(original.model).half().float())
    model, _ = load_causal_lm(folder, dtype="float16", device="cpu")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float16}
    assert len(list(cache.glob("converted/*-v*/config.json"))) == 1


def test_large_copies_are_written_in_shards(original: Any, tmp_path: Path) -> None:
    folder = original.write(tmp_path / "model", pickled=True)
    layout = layout_of(original.config, "here")
    assert layout is not None
    made = converted_directory(folder, layout, original.config, str(tmp_path), shard_bytes=20_000)
    index = json.loads((made / "model.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    assert len(files) > 2
    assert files == sorted(file.name for file in made.glob("*.safetensors"))
    state = original.model.state_dict()
    largest = max(4 * tensor.numel() for tensor in state.values())
    most = 20_000 + largest + 10_000  # and the header
    assert all(file.stat().st_size < most for file in made.glob("*.safetensors"))
    assert index["metadata"]["total_size"] == sum(4 * each.numel() for each in state.values())
    model, _ = load_causal_lm(with_tokenizer(made, folder), dtype="float32", device="cpu")
    same_model(model, original.model)


def with_tokenizer(made: Path, folder: Path) -> Path:
    for file in folder.glob("tokenizer*"):
        shutil.copy(file, made)
    return made


# ---------------------------------------------------------------- the kept copy


def test_the_copy_is_kept_and_made_anew_for_other_weights(
    original: Any, tmp_path: Path, cache: Path
) -> None:
    folder = original.write(tmp_path / "model")
    first = Path(transformers_checkpoint(folder))
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    assert transformers_checkpoint(moved) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    key = next(name for name in original.tensors if "final" in name or name == "model.norm.weight")
    save_file({**original.tensors, key: original.tensors[key] + 1}, folder / "model.safetensors")
    second = Path(transformers_checkpoint(folder))
    assert second != first
    assert torch.equal(
        load_file(second / "model.safetensors")["model.norm.weight"],
        load_file(first / "model.safetensors")["model.norm.weight"] + 1,
    )
    eps = next(key for key in ("layernorm_epsilon", "rms_norm_eps") if key in original.config)
    third = Path(transformers_checkpoint(original.write(tmp_path / "third", **{eps: 0.5})))
    assert json.loads((third / "config.json").read_text())["rms_norm_eps"] == 0.5
    assert not list(cache.glob("converted/.converting*"))


def test_a_conversion_that_was_killed_is_made_again(chatglm2: Any, tmp_path: Path) -> None:
    folder = chatglm2.write(tmp_path / "model")
    made = Path(transformers_checkpoint(folder))
    (made / "config.json").unlink()
    (made / "model.safetensors").write_bytes(b"half")
    abandoned = made.parent / f".converting-{made.name}-x1"
    abandoned.mkdir()
    assert transformers_checkpoint(folder) == made
    assert not abandoned.exists()
    assert set(load_file(made / "model.safetensors")) == set(chatglm2.model.state_dict())


def flip(file: Path) -> None:
    """Changes the last bit of a file; size and times stay as they were."""
    content, times = (
        bytearray(file.read_bytes()),
        (file.stat().st_atime_ns, file.stat().st_mtime_ns),
    )
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=times)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: flip(made / "model.safetensors"),
        lambda made: flip(made / "config.json"),
        lambda made: (made / "generation_config.json").unlink(),
        lambda made: (made / "model.safetensors.index.json").write_text("{}"),
        lambda made: (made / CHECKSUMS).write_text("["),
        lambda made: (made / CHECKSUMS).unlink(),
    ],
)
def test_a_copy_that_is_not_what_was_written_is_made_again(
    baichuan: Any, tmp_path: Path, spoil: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    folder = baichuan.write(tmp_path / "model")
    made = Path(transformers_checkpoint(folder))
    spoil(made)
    model, _ = load_causal_lm(folder, dtype="float32", device="cpu")
    same_model(model, baichuan.model)
    assert f"{made}: incomplete or altered since it was converted" in caplog.text


@pytest.mark.parametrize(
    ("mask", "folders", "files"), [(0o022, 0o755, 0o644), (0o007, 0o770, 0o660)]
)
def test_the_copy_is_readable_as_the_umask_says(
    baichuan: Any, tmp_path: Path, mask: int, folders: int, files: int
) -> None:
    before = os.umask(mask)
    try:
        made = Path(transformers_checkpoint(baichuan.write(tmp_path / "model")))
    finally:
        os.umask(before)
    assert made.stat().st_mode & 0o777 == made.parent.stat().st_mode & 0o777 == folders
    assert {file.stat().st_mode & 0o777 for file in made.iterdir()} == {files}


def test_several_at_once_convert_once(baichuan: Any, tmp_path: Path, cache: Path) -> None:
    folder = baichuan.write(tmp_path / "model", pickled=True)
    with ThreadPoolExecutor(4) as pool:
        copies = list(pool.map(transformers_checkpoint, [folder] * 4))
    (only,) = (cache / "converted").glob("baichuan-*/model.safetensors")
    assert set(copies) == {only.parent}
    assert set(load_file(only)) == set(baichuan.model.state_dict())
    made = only.stat().st_mtime_ns
    assert transformers_checkpoint(folder) == only.parent
    assert only.stat().st_mtime_ns == made


def test_a_cache_that_cannot_be_written_is_named(
    chatglm2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CHMED_NER_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="CHMED_NER_CACHE"):
        load_causal_lm(chatglm2.write(tmp_path / "model"), device="cpu")


def test_the_copy_lies_where_the_backbone_says(baichuan: Any, tmp_path: Path) -> None:
    folder = baichuan.write(tmp_path / "model", pickled=True)
    place = tmp_path / "place"
    backbone = option(
        "backbone",
        "causal_lm",
        name="b",
        path=str(folder),
        dtype="float32",
        device="cpu",
        cache=str(place),
    )
    before = backbone.checksum()
    same_model(backbone.load().model, baichuan.model)
    assert list(place.glob("converted/*/config.json"))
    assert backbone.checksum() == before
    content = dict(baichuan.tensors)
    content["lm_head.weight"] = content["lm_head.weight"] + 1
    torch.save(content, folder / "pytorch_model.bin")
    assert backbone.checksum() != before


# ---------------------------------------------------------------- what is refused


class Opener:
    """An object whose pickle opens a file when it is read."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.path, "w"))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "extra",
    [
        lambda trace: Opener(trace),
        lambda _: {"nested": torch.zeros(2)},
        lambda _: "text",
        lambda _: [1, 2],
        lambda _: None,
        lambda trace: Path(trace),
    ],
    ids=["code", "dictionary", "text", "list", "none", "path"],
)
def test_a_pickle_with_anything_but_tensors_is_refused(
    original: Any, tmp_path: Path, cache: Path, extra: Callable[[str], Any], zipped: bool
) -> None:
    folder = original.write(tmp_path / "model", pickled=True)
    trace = tmp_path / "was_run"
    torch.save(
        {**original.tensors, "extra": extra(str(trace))},
        folder / "pytorch_model.bin",
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(InputError, match=r"pytorch_model\.bin: .*tensors"):
        load_causal_lm(folder, device="cpu")
    assert not trace.exists()
    assert not list(cache.glob("converted/*/config.json"))


def test_a_pickle_of_one_tensor_or_with_numbered_ones_is_refused(
    chatglm2: Any, tmp_path: Path
) -> None:
    folder = chatglm2.write(tmp_path / "model", pickled=True)
    for content in (torch.zeros(2), {1: torch.zeros(2)}, [torch.zeros(2)]):
        torch.save(content, folder / "pytorch_model.bin")
        with pytest.raises(InputError, match="tensors"):
            load_causal_lm(folder, device="cpu")


def spoiled(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path, Mapping[str, Any]], None]:
    """Stores changed tensors."""

    def spoil(folder: Path, tensors: Mapping[str, Any]) -> None:
        kept = dict(tensors)
        change(kept)
        save_file(kept, folder / "model.safetensors")

    return spoil


def fused(tensors: dict[str, Any]) -> str:
    """The name of a layer's queries, keys and values."""
    return next(
        name for name in tensors if name.endswith(("query_key_value.weight", "W_pack.weight"))
    )


def index_of(**weight_map: str) -> Callable[[Path, Mapping[str, Any]], None]:
    """Puts an index in."""
    text = json.dumps({"weight_map": weight_map})
    return lambda folder, _: (folder / "model.safetensors.index.json").write_text(text) and None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoiled(lambda t: t.pop(fused(t))), r"weights are missing, such as .*\.k_proj"),
        (spoiled(lambda t: t.update({"prefix_encoder.weight": torch.ones(2)})), "prefix_encoder"),
        (spoiled(lambda t: t.update({fused(t) + "_scale": torch.ones(2)})), "weight_scale"),
        (spoiled(lambda t: t.update({fused(t): t[fused(t)][1:].clone()})), "rows; config.json"),
        (spoiled(lambda t: t.update({fused(t): t[fused(t)][:, 1:].clone()})), "config.json asks"),
        (spoiled(lambda t: t.update({fused(t): t[fused(t)].to(torch.int8)})), "int8"),
        (spoiled(lambda t: t.update({"lm_head.bias": torch.ones(2)})), r"lm_head\.bias"),
        (lambda folder, _: (folder / "model.safetensors").unlink(), "no weights there"),
        (lambda folder, _: (folder / "model.safetensors").write_bytes(b"1234"), "cannot be read"),
        (index_of(a="gone.safetensors"), r"gone\.safetensors: no such file"),
        (index_of(a="../model/model.safetensors"), "is not in"),
        (index_of(), "has no weight_map"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    original: Any,
    tmp_path: Path,
    cache: Path,
    spoil: Callable[[Path, Mapping[str, Any]], None],
    message: str,
) -> None:
    folder = original.write(tmp_path / "model")
    spoil(folder, original.tensors)
    with pytest.raises(InputError, match=message) as caught:
        load_causal_lm(folder, device="cpu")
    assert str(folder) in str(caught.value)
    assert not list(cache.glob("converted/*/config.json"))


@pytest.mark.parametrize(
    ("keep", "message"), [(100, "cannot be read|broken"), (20_000, "cannot be read|broken")]
)
def test_a_cut_pickle_is_refused(original: Any, tmp_path: Path, keep: int, message: str) -> None:
    folder = original.write(tmp_path / "model", pickled=True)
    file = folder / "pytorch_model.bin"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=message):
        load_causal_lm(folder, device="cpu")


def test_one_weight_in_two_files_is_refused(baichuan: Any, tmp_path: Path) -> None:
    folder = baichuan.write(tmp_path / "model")
    shutil.copy(folder / "model.safetensors", folder / "again.safetensors")
    index_of(a="model.safetensors", b="again.safetensors")(folder, {})
    with pytest.raises(InputError, match="earlier"):
        load_causal_lm(folder, device="cpu")


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("chatglm2", {"position_encoding_2d": True, "inner_hidden_size": 160}, "ChatGLM v1"),
        ("chatglm2", {"rope_ratio": 500}, r"GLM-4 .*-hf"),
        ("chatglm2", {"rope_ratio": 1, "padded_vocab_size": 151552}, r"GLM-4 .*-hf"),
        ("chatglm2", {"quantization_bit": 4}, r"int4 .*quantization_bit"),
        ("chatglm2", {"quantization_bit": 8}, "int8"),
        ("chatglm2", {"_name_or_path": "THUDM/chatglm3-6b"}, "ChatGLM3-6B"),
        ("chatglm2", {"pre_seq_len": 128}, "P-tuning"),
        ("chatglm2", {"padded_vocab_size": None, "vocab_size": 130528}, "not ChatGLM2-6B"),
        ("chatglm2", {"multi_query_attention": False}, "multi_query_attention=False"),
        ("chatglm2", {"original_rope": False}, "original_rope=False"),
        ("chatglm2", {"original_rope": None}, "original_rope"),
        ("chatglm2", {"rmsnorm": False}, "rmsnorm=False"),
        ("chatglm2", {"tie_word_embeddings": True}, "tie_word_embeddings=True"),
        (
            "baichuan",
            {
                "architectures": ["BaichuanForCausalLM"],
                "max_position_embeddings": None,
                "model_max_length": 4096,
            },
            r"Baichuan-13B \(ALiBi",
        ),
        (
            "baichuan",
            {"architectures": ["BaichuanForCausalLM"], "vocab_size": 125_696, "z_loss_weight": 0},
            "Baichuan2 .*normalised",
        ),
        ("baichuan", {"vocab_size": 125_696, "max_position_embeddings": None}, "Baichuan2"),
        ("baichuan", {"z_loss_weight": 0}, "Baichuan2"),
        ("baichuan", {"architectures": ["BaichuanForCausalLM"]}, "Baichuan-13B and Baichuan2"),
        ("baichuan", {"architectures": None}, "architectures=None"),
        ("baichuan", {"quantization_bit": 4}, "quantised"),
        ("baichuan", {"tie_word_embeddings": True}, "tie_word_embeddings=True"),
    ],
)
def test_look_alikes_are_refused_by_name(
    kind: str,
    changes: dict[str, Any],
    reason: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    cache: Path,
) -> None:
    folder = request.getfixturevalue(kind).write(tmp_path / "model", **changes)
    for attempt in (
        option(
            "backbone", "causal_lm", name="m", path=str(folder)
        ).check,  # before anything heavy is loaded
        lambda: load_causal_lm(folder, device="cpu"),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            attempt()
        assert str(folder) in str(caught.value)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("chatglm2", {"hidden_size": "wide"}, "hidden_size='wide'"),
        ("chatglm2", {"num_layers": 0}, "num_layers=0"),
        ("chatglm2", {"kv_channels": 6}, "kv_channels=6"),
        ("chatglm2", {"multi_query_group_num": 4}, "multi_query_group_num=4"),
        ("chatglm2", {"layernorm_epsilon": None}, "layernorm_epsilon=None"),
        ("chatglm2", {"eos_token_id": [2]}, r"eos_token_id=\[2\]"),
        ("baichuan", {"num_attention_heads": 5}, "num_attention_heads=5"),
        ("baichuan", {"hidden_act": "gelu"}, "hidden_act='gelu'"),
        ("baichuan", {"rms_norm_eps": "small"}, "rms_norm_eps='small'"),
        ("baichuan", {"num_hidden_layers": True}, "num_hidden_layers=True"),
    ],
)
def test_bad_sizes_are_named(
    kind: str,
    changes: dict[str, Any],
    message: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    folder = request.getfixturevalue(kind).write(tmp_path / "model", **changes)
    with pytest.raises(InputError, match=message) as caught:
        load_causal_lm(folder, device="cpu")
    assert str(folder) in str(caught.value)


def test_code_beside_the_weights_is_not_run(original: Any, tmp_path: Path) -> None:
    folder = original.write(tmp_path / "model")
    trace = tmp_path / "was_run"
    for name in ("modeling", "configuration", "tokenization"):
        for kind in ("chatglm", "baichuan"):
            file = folder / f"{name}_{kind}.py"
            file.write_text(f"open({str(trace)!r}, 'w').close()\n", encoding="utf-8")
    load_causal_lm(folder, device="cpu")
    assert not trace.exists()
