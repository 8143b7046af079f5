"""Any GGUF file as a backbone: converted once, the head tied again, bad files refused."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3TextConfig,
    GgufConfig,
    LlamaConfig,
    Qwen2Config,
    Qwen3Config,
)

from chmed_ner.backbone import Gguf, load_causal_lm
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of
from chmed_ner.model.asking import Request
from chmed_ner.model.checkpoint.gguf import LLAMA3
from chmed_ner.run.config import option

TEMPLATE = (
    "{% for m in messages %}<turn>{{ m.role }}\n{{ m.content }}</turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>assistant\n{% endif %}"
)
ARCHITECTURES: dict[str, Callable[..., Any]] = {
    "qwen2": Qwen2Config,
    "qwen3": Qwen3Config,
    "llama": LlamaConfig,
    "gemma3": Gemma3TextConfig,
}
TYPES = gguf.GGMLQuantizationType
SPECIAL = ("<pad>", "<eos>", "<turn>", "</turn>")
SENTENCES = ("患者出现发热、咳嗽，反复头痛两天。", "第1天 38.5 ℃\n“无” two  words（A）…")
EMBEDDING, HEAD = "token_embd.weight", "output.weight"


class Written:
    """A GGUF file of a small random model, as llama.cpp's converter writes it.

    The tensors stand in the file by name; `packed` gives some of them another type than F32.
    """

    def __init__(self, architecture: str, tokenizer: Any, rope: Any = None, **fields: Any) -> None:
        self.architecture = architecture
        self.layers = 6 if architecture == "gemma3" else 2  # its sixth attends to the whole text
        self.tokenizer = tokenizer
        self.renamed: dict[str, str] = {}
        self.fields = {"context_length": 2048, "rope.freq_base": 10_000.0, **fields}
        plain = {"rope_type": "default", "rope_theta": 10_000.0}
        kinds = ("full_attention", "sliding_attention")
        rope = rope or (dict.fromkeys(kinds, plain) if architecture == "gemma3" else plain)
        width = 128 if architecture == "qwen3" else 16
        config = ARCHITECTURES[architecture](
            vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_key_value_heads=2,
            num_attention_heads=4, num_hidden_layers=self.layers, max_position_embeddings=2048,
            initializer_range=0.15, tie_word_embeddings=True, eos_token_id=1, pad_token_id=0,
            bos_token_id=None, rope_parameters=rope, head_dim=width,
        )  # fmt: skip
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).float().eval()
        self.model: Any = model  # its numbers are those that bfloat16 has
        number = next(n for n, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
        names = gguf.get_tensor_name_map(number, self.layers)
        self.tensors: dict[str, np.ndarray[Any, Any]] = {}
        for name, tensor in model.state_dict().items():
            stem, _, suffix = name.rpartition(".")
            if name != "lm_head.weight":
                self.tensors[f"{names.get_name(stem)}.{suffix}"] = self._theirs(
                    name, tensor
                ).numpy()

    def _theirs(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """llama.cpp turns Llama's rotary halves into pairs, and adds 1 to Gemma's norms."""
        if self.architecture == "gemma3" and name.endswith("norm.weight"):
            return tensor + 1
        heads = 4 if "q_proj" in name else 2
        if self.architecture == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            halves = tensor.reshape(heads, 2, -1, tensor.shape[-1])
            return halves.swapaxes(1, 2).reshape(tensor.shape).contiguous()
        return tensor

    def write(self, file: Path, packed: Mapping[str, TYPES] | None = None) -> Path:
        """The file, at `file`."""
        config, prefix = self.model.config, self.architecture
        writer = gguf.GGUFWriter(file, self.architecture)
        writer.add_uint32(f"{prefix}.block_count", self.layers)
        writer.add_uint32(f"{prefix}.embedding_length", 64)
        writer.add_uint32(f"{prefix}.feed_forward_length", 96)
        writer.add_uint32(f"{prefix}.attention.head_count", 4)
        writer.add_uint32(f"{prefix}.attention.head_count_kv", 2)
        writer.add_uint32(f"{prefix}.attention.key_length", config.head_dim)
        if prefix == "llama":
            writer.add_uint32(f"{prefix}.rope.dimension_count", config.head_dim)
        writer.add_float32(f"{prefix}.attention.layer_norm_rms_epsilon", config.rms_norm_eps)
        for name, value in self.fields.items():
            adds = {float: writer.add_float32, str: writer.add_string, int: writer.add_uint32}
            adds[type(value)](f"{prefix}.{name}", value)
        tokens = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        merges = json.loads(self.tokenizer.backend_tokenizer.to_str())["model"]["merges"]
        kinds = [3 if token in SPECIAL else 1 for token in tokens]
        if prefix == "gemma3":  # SentencePiece's kind: bytes, characters, no merges
            texts = sorted(set("".join(SENTENCES)))
            tokens = [*SPECIAL, "<unk>", "<bos>", *(f"<0x{byte:02X}>" for byte in range(256))]
            kinds = [*[3] * 6, *[6] * 256, *[1] * 250]
            tokens += ["\u2581", *texts, *(f"<unused{at}>" for at in range(250))][:250]
            writer.add_tokenizer_model("llama")
            writer.add_token_scores([-float(at) for at in range(len(tokens))])
            writer.add_bos_token_id(5)
            writer.add_unk_token_id(4)
        else:
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre("llama-bpe" if prefix == "llama" else "qwen2")
            writer.add_token_merges([" ".join(pair) for pair in merges])
        writer.add_token_list([self.renamed.get(token, token) for token in tokens])
        writer.add_token_types(kinds)
        writer.add_eos_token_id(1)
        writer.add_pad_token_id(0)
        writer.add_chat_template(TEMPLATE)
        for name, tensor in self.tensors.items():
            kind = (packed or {}).get(name, TYPES.F32)
            writer.add_tensor(name, gguf.quantize(tensor, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return file


def backbone(file: Path, **knobs: Any) -> Gguf:
    """`backbone=gguf backbone.path=FILE`, its cache beside the file."""
    how = {"dtype": "float32", "device": "cpu", "cache": str(file.parent / "cache"), **knobs}
    chosen: Gguf = option("backbone", "gguf", path=str(file), **how)
    return chosen


def logits(model: Any) -> torch.Tensor:
    """For a fixed text."""
    with torch.inference_mode():
        read: torch.Tensor = model(torch.arange(5, 45)[None]).logits
    return read


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_model_in_the_file_is_the_model_that_answers(
    architecture: str, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    """Weights, tokenizer, chat template and ends, whatever is beside the file, which may go once
    it is converted."""
    written = Written(architecture, tiny_tokenizer)
    file = written.write(tmp_path / "tiny.gguf")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    chosen = backbone(file)
    place = Path(chosen.location())
    (tmp_path / "tokenizer.json").unlink()
    assert place.parent == tmp_path / "cache" / "converted"
    assert [each.name for each in place.parent.iterdir()] == [place.name]
    assert not list(place.glob("*.gguf"))
    model, tokenizer = load_causal_lm(place, dtype="float32", device="cpu")
    assert (logits(model) - logits(written.model)).abs().max() < 1e-4
    theirs: Any = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name)
    assert (logits(model) - logits(theirs)).abs().max() < 1e-4
    read = AutoTokenizer.from_pretrained(tmp_path, gguf_file=file.name)
    for text in SENTENCES:
        assert tokenizer.encode(text) == read.encode(text)
        assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == text
    assert model.generation_config.eos_token_id == 1
    loaded = chosen.load()
    assert tokenizer.decode(loaded.wrapping.prompt_ids("头痛")) == (
        "<turn>user\n头痛</turn>\n<turn>assistant\n"
    )
    (reply,) = chosen.generator(stop=(), seed=0).answer([Request("a", "test", "FT", "头痛", 4)])
    assert reply.completion_tokens == 4
    assert chosen.checksum() == sha256_of(file)
    known = option("backbone", "gguf", path="someone/tiny", file="tiny.gguf",
                   sha256=sha256_of(file), cache=str(tmp_path / "cache"))  # fmt: skip
    file.unlink()
    assert known.location() == str(place)


@pytest.mark.parametrize(
    ("embedding", "head"),
    [(TYPES.Q5_0, TYPES.Q8_0), (TYPES.Q8_0, TYPES.Q4_0), (TYPES.Q8_0, TYPES.F32)],
    ids=lambda each: each.name,
)
def test_a_head_is_tied_to_the_finer_copy(
    tiny_tokenizer: Any, tmp_path: Path, embedding: TYPES, head: TYPES
) -> None:
    written = Written("qwen2", tiny_tokenizer)
    written.tensors[HEAD] = written.tensors[EMBEDDING]
    file = written.write(tmp_path / "tiny.gguf", {EMBEDDING: embedding, HEAD: head})
    place = Path(backbone(file).location())
    model, _ = load_causal_lm(place, dtype="float32", device="cpu")
    finer = min(
        embedding, head, key=[TYPES.F32, TYPES.F16, TYPES.Q8_0, TYPES.Q5_0, TYPES.Q4_0].index
    )
    expected = gguf.dequantize(gguf.quantize(written.tensors[HEAD], finer), finer)
    weight = model.get_input_embeddings().weight
    assert model.get_output_embeddings().weight is weight
    assert torch.equal(weight.detach(), torch.from_numpy(expected).bfloat16().float())
    assert model.num_parameters() == written.model.num_parameters()
    theirs: Any = AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file=file.name, dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )  # fmt: skip
    theirs = theirs.float()
    theirs.set_input_embeddings(model.get_input_embeddings())
    theirs.get_output_embeddings().weight = weight
    assert (logits(model) - logits(theirs)).abs().max() < 1e-4


def test_the_rotary_scaling_of_llama_3_1_is_put_back(tiny_tokenizer: Any, tmp_path: Path) -> None:
    """transformers' reader leaves it out."""
    rope = {**LLAMA3, "factor": 8.0, "rope_theta": 10_000.0}
    written = Written("llama", tiny_tokenizer, rope)
    plain = 10_000.0 ** -(torch.arange(8) / 8)
    factors = plain / written.model.model.rotary_emb.inv_freq
    assert 1 == round(float(factors[0]), 3) < factors[6] < round(float(factors[7]), 3) == 8
    written.tensors["rope_freqs.weight"] = factors.numpy()
    same_answers(written, tmp_path)


def test_the_rotary_scaling_of_gemma_3_is_put_back(tiny_tokenizer: Any, tmp_path: Path) -> None:
    rope = {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 10_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    }
    fields = {"rope.scaling.type": "linear", "rope.scaling.factor": 8.0}
    written = Written("gemma3", tiny_tokenizer, rope, **fields)
    same_answers(written, tmp_path)


def same_answers(written: Written, folder: Path) -> None:
    place = backbone(written.write(folder / "tiny.gguf")).location()
    model, _ = load_causal_lm(place, dtype="float32", device="cpu")
    assert (logits(model) - logits(written.model)).abs().max() < 1e-4
    theirs: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file="tiny.gguf")
    assert (logits(theirs) - logits(written.model)).abs().max() > 1e-3


def test_a_head_of_its_own_is_kept_where_that_is_said(tiny_tokenizer: Any, tmp_path: Path) -> None:
    written = Written("qwen2", tiny_tokenizer)
    written.tensors[HEAD] = written.tensors[EMBEDDING][::-1].copy()
    chosen = backbone(written.write(tmp_path / "tiny.gguf"), tied=False)
    model, _ = load_causal_lm(chosen.location(), dtype="float32", device="cpu")
    head = model.get_output_embeddings().weight.detach().numpy()
    assert np.array_equal(head, written.tensors[HEAD])
    assert chosen.checksum() != option("backbone", "gguf", path=chosen.path).checksum()


def test_the_end_of_a_text_ends_an_answer_too(tiny_tokenizer: Any, tmp_path: Path) -> None:
    """As Qwen's own generation_config.json says; the file names the end of a turn alone."""
    written = Written("qwen2", tiny_tokenizer)
    written.renamed = {"<turn>": "<|endoftext|>"}
    model, _ = load_causal_lm(backbone(written.write(tmp_path / "tiny.gguf")).location())
    assert model.generation_config.eos_token_id == tiny_tokenizer.convert_tokens_to_ids(
        ["<eos>", "<turn>"]
    )


def other_head(written: Written) -> None:
    written.tensors[HEAD] = written.tensors[EMBEDDING] + 0.1


def one_row(written: Written) -> None:
    written.tensors[HEAD] = written.tensors[EMBEDDING].copy()
    written.tensors[HEAD][300] = written.tensors[EMBEDDING][301]


def shorter_head(written: Written) -> None:
    written.tensors[HEAD] = written.tensors[EMBEDDING][:300].copy()


def rotary_factors(written: Written) -> None:
    written.tensors["rope_freqs.weight"] = np.arange(1, 9, dtype=np.float32)


def stretched(written: Written) -> None:
    written.fields |= {"rope.scaling.type": "yarn", "rope.scaling.factor": 8.0}


def one_tensor_less(written: Written) -> None:
    del written.tensors["blk.1.ffn_up.weight"]


def unknown(written: Written) -> None:
    written.architecture = "plamo"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (other_head, r"output head is not its embedding .* backbone\.tied=false"),
        (one_row, r"output head is not its embedding .* backbone\.tied=false"),
        (shorter_head, r"output head is not its embedding .* backbone\.tied=false"),
        (rotary_factors, r"8 numbers have no place, perhaps rope_freqs\.weight"),
        (stretched, r"its rotary scaling by 8 is left out"),
        (one_tensor_less, r"weights such as model\.layers\.1\.mlp\.up_proj\.weight are missing"),
        (
            unknown,
            r"architecture plamo that transformers does not read .*causal_lm",
        ),
    ],
)
def test_what_transformers_would_read_otherwise_is_refused(
    spoil: Callable[[Written], None], said: str, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    """In one line that names the file, with nothing left in the cache."""
    written = Written("qwen2", tiny_tokenizer)
    spoil(written)
    refused(backbone(written.write(tmp_path / "tiny.gguf", {EMBEDDING: TYPES.Q8_0})), said)


def refused(chosen: Gguf, said: str) -> None:
    with pytest.raises(InputError, match=rf"tiny\.gguf: .*{said}") as caught:
        chosen.location()
    assert "\n" not in str(caught.value)
    assert not list(Path(str(chosen.cache)).rglob("*"))


@pytest.mark.parametrize("kept", [0, 3, 30, 600, 9000, -70_000, -1])
def test_a_cut_file_is_refused(kept: int, tiny_tokenizer: Any, tmp_path: Path) -> None:
    file = Written("qwen2", tiny_tokenizer).write(tmp_path / "tiny.gguf")
    file.write_bytes(file.read_bytes()[:kept])
    refused(backbone(file), "not a GGUF file, or one that was cut short .*; fetch it again")


def test_another_file_is_refused(tiny_tokenizer: Any, tmp_path: Path) -> None:
    """One that `path` names even where a copy of the right one is there."""
    file = Written("qwen2", tiny_tokenizer).write(tmp_path / "tiny.gguf")
    right = sha256_of(file)
    backbone(file, sha256=right).location()
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(InputError, match=rf"tiny\.gguf: SHA-256 is \w+, expected {right}"):
        backbone(file, sha256=right).location()
    refused(backbone(file, sha256="0" * 64, cache=str(tmp_path / "new")), "SHA-256 is .*, expected")


def test_a_broken_copy_is_made_again(tiny_tokenizer: Any, tmp_path: Path) -> None:
    chosen = backbone(Written("qwen2", tiny_tokenizer).write(tmp_path / "tiny.gguf"))
    weights = Path(chosen.location()) / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-2] + b"??")
    chosen.location()
    assert weights.read_bytes() == before


def test_what_names_no_file_is_refused_before_loading(tmp_path: Path) -> None:
    for path in ("someone/tiny", str(tmp_path / "absent"), "./tiny.gguf", "tiny.gguf"):
        with pytest.raises(InputError, match=r"backbone\.path=.*backbone\.file=NAME\.gguf"):
            option("backbone", "gguf", path=path).check()
    with pytest.raises(InputError, match=r"backbone=gguf needs backbone\.path"):
        option("backbone", "gguf", path=None).check()
    option("backbone", "gguf", path="someone/tiny", file="tiny.gguf").check()
