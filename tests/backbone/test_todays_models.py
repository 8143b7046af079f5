"""Today's models, each architecture as a tiny checkpoint: asked in its chat template, and tuned.

The templates are ours, in the style of the published ones; the options' own `chat_options` fill
them.
"""

import importlib.util
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from chmed_ner.backbone import load_causal_lm, load_tokenizer
from chmed_ner.backbone.local_models import CausalLM
from chmed_ner.backbone.regime import Task
from chmed_ner.model.asking import Request
from chmed_ner.run import config as configuration
from chmed_ner.run.config import build, compose
from experiments.backbones.facts import read_facts

CONF = Path(__file__).parents[2] / "conf" / "backbone"
HERE = importlib.util.find_spec("bitsandbytes") is not None
ELSEWHERE = {
    "gemma3_270m", "chatglm2_6b", "baichuan_7b", "chatgpt_3_5", "qwen2_5_coder_0_5b",
    "qwen2_5_coder_1_5b",
}  # fmt: skip
"""Models with tests of their own."""

IM = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)
SYSTEM = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nHelp.<|im_end|>\n{% endif %}" + IM
)
GLM = (
    "[gMASK]<sop>{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LLAMA = (
    "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\n"
    "Today: {{ date_string }}<|eot_id|>{% for m in messages %}"
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
SEPARATE = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
FUSED = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj"}


@dataclass(frozen=True)
class Architecture:
    """A model's classes, its special tokens (the first ends the text), what it reads and learns."""

    model: str
    config: str
    specials: tuple[str, ...]
    template: str
    reads: str
    """The prompt 头痛 with its template around it."""
    turn_ends: tuple[str, ...]
    """What its generation_config lists; the first is behind an answer that it learns."""
    linear: set[str] = field(default_factory=lambda: SEPARATE)
    knobs: dict[str, Any] = field(default_factory=dict)
    loaded: str = ""
    """The class that is loaded, where it is another one."""


QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TURN = "<|im_start|>user\n头痛<|im_end|>\n<|im_start|>assistant\n"
GEMMA3 = ("<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>")
WINDOWS: dict[str, Any] = {
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"],
    "query_pre_attn_scalar": 16,
    "initializer_range": 0.1,
}
ARCHITECTURES = {
    "qwen3": Architecture(
        "Qwen3ForCausalLM", "Qwen3Config", QWEN, IM, f"{TURN}<think>\n\n</think>\n\n",
        ("<|im_end|>", "<|endoftext|>"), knobs={"tie_word_embeddings": True},
    ),
    "qwen2": Architecture(
        "Qwen2ForCausalLM", "Qwen2Config", QWEN, SYSTEM,
        f"<|im_start|>system\nHelp.<|im_end|>\n{TURN}", ("<|im_end|>", "<|endoftext|>"),
    ),
    "glm": Architecture(
        "GlmForCausalLM", "GlmConfig",
        ("<|endoftext|>", "[gMASK]", "<sop>", "<|user|>", "<|assistant|>", "<|observation|>"),
        GLM, "[gMASK]<sop><|user|>\n头痛<|assistant|>",
        ("<|endoftext|>", "<|user|>", "<|observation|>"), FUSED, {"attention_bias": True},
    ),
    "llama": Architecture(
        "LlamaForCausalLM", "LlamaConfig",
        ("<|end_of_text|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
         "<|eot_id|>"),
        LLAMA,
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Today: 26 Jul 2024<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n头痛<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|eot_id|>", "<|end_of_text|>"),
    ),
    "gemma3_text": Architecture(
        "Gemma3ForCausalLM", "Gemma3TextConfig", GEMMA3, GEMMA,
        "<bos><start_of_turn>user\n头痛<end_of_turn>\n<start_of_turn>model\n",
        ("<end_of_turn>", "<eos>"), knobs=WINDOWS,
    ),
    "gemma3": Architecture(
        "Gemma3ForConditionalGeneration", "Gemma3Config", GEMMA3, GEMMA,
        "<bos><start_of_turn>user\n头痛<end_of_turn>\n<start_of_turn>model\n",
        ("<end_of_turn>", "<eos>"), knobs=WINDOWS, loaded="Gemma3ForCausalLM",
    ),
}  # fmt: skip
OPTIONS = {
    "qwen3_0_6b": "qwen3", "qwen3_1_7b": "qwen3", "qwen3_4b": "qwen3", "qwen3_8b": "qwen3",
    "qwen2_5_0_5b": "qwen2", "qwen2_5_1_5b": "qwen2", "qwen2_5_7b": "qwen2",
    "glm4_9b": "glm", "llama3_1_8b": "llama", "llama3_2_1b": "llama",
    "gemma3_1b": "gemma3_text", "gemma3_4b": "gemma3",
}  # fmt: skip
ONE_EACH = sorted({architecture: option for option, architecture in OPTIONS.items()}.items())


def a_tokenizer(architecture: Architecture, sentences: list[str]) -> Any:
    """A byte-level BPE tokenizer with the architecture's special tokens and template."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(architecture.specials),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=architecture.specials[0],
        bos_token=architecture.specials[1],
        additional_special_tokens=list(architecture.specials[2:]),
        chat_template=architecture.template,
        clean_up_tokenization_spaces=False,
    )


def a_model(architecture: Architecture, tokenizer: Any) -> Any:
    """Random weights, wide enough that no two logits are nearly equal."""
    ends = tokenizer.convert_tokens_to_ids(list(architecture.turn_ends))
    ids = {"pad_token_id": ends[-1], "bos_token_id": None, "eos_token_id": ends}
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 2048,
        "initializer_range": 0.15,
        "tie_word_embeddings": False,
        **ids,
        **architecture.knobs,
    }
    if architecture.model.startswith("Gemma"):
        del sizes["tie_word_embeddings"]
    if architecture.config == "Gemma3Config":
        sees = {
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
        }  # fmt: skip
        sizes = {"text_config": sizes, "vision_config": sees, "mm_tokens_per_image": 4, **ids}
    torch.manual_seed(5)
    config = getattr(transformers, architecture.config)(**sizes)
    model = getattr(transformers, architecture.model)(config)
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=ends, do_sample=True, repetition_penalty=1.5
    )
    return model


@pytest.fixture(scope="module")
def folders(
    sample_sentences: list[str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A checkpoint of each architecture."""
    root = tmp_path_factory.mktemp("checkpoints")
    for name, architecture in ARCHITECTURES.items():
        tokenizer = a_tokenizer(architecture, sample_sentences[:40])
        a_model(architecture, tokenizer).save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    return {name: root / name for name in ARCHITECTURES}


def of(option: str, folders: dict[str, Path]) -> CausalLM:
    """An option of conf/backbone with the tiny checkpoint of its architecture, in float32."""
    words = [f"backbone={option}", f"backbone.path={folders[OPTIONS[option]]}"]
    config = compose([*words, "backbone.dtype=float32", "backbone.device=cpu"])
    built = build(config.backbone, "backbone")
    assert isinstance(built, CausalLM)
    return built


def a_task(directory: Path, pairs: list[tuple[str, str]], losses: list[float]) -> Task:
    """A task without validation."""

    def log(metrics: Any, _step: int) -> None:
        losses.append(metrics["train/loss"])

    return Task(pairs, ("\n\n",), None, directory, 13, log, lambda _counts: None)


def requests(sentences: list[str]) -> list[Request]:
    """Questions of several lengths."""
    asked = ["头痛", *sentences[:4]]
    return [Request(str(n), "test", "FT", text, 8 + n) for n, text in enumerate(asked)]


def test_every_option_is_tested() -> None:
    named = {file.stem for file in CONF.glob("*.yaml") if read_facts(file)}
    assert named - ELSEWHERE == set(OPTIONS)


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_the_prompt_is_wrapped_in_the_template(option: str, folders: dict[str, Path]) -> None:
    from chmed_ner.model.asking import wrapping

    backbone, architecture = of(option, folders), ARCHITECTURES[OPTIONS[option]]
    tokenizer = load_tokenizer(backbone.location())
    wrapped = wrapping(tokenizer, backbone.chat, backbone.chat_options)
    ids = wrapped.prompt_ids("头痛")
    assert tokenizer.decode(ids, skip_special_tokens=False) == architecture.reads
    special = set(tokenizer.convert_tokens_to_ids(list(architecture.specials)))
    assert sum(token in special for token in ids) == sum(
        architecture.reads.count(each) for each in architecture.specials
    )
    (end,) = tokenizer.convert_tokens_to_ids([architecture.turn_ends[0]])
    assert wrapped.end_id() == end
    assert wrapped.answer_ids("无") == [*tokenizer.encode("无", add_special_tokens=False), end]


@pytest.mark.parametrize(("name", "option"), ONE_EACH)
def test_zero_shot_answers_are_those_of_generate(
    name: str,
    option: str,
    folders: dict[str, Path],
    sample_sentences: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Greedy, whatever the checkpoint recommends; our own loop serves the architecture."""
    backbone, architecture = of(option, folders), ARCHITECTURES[name]
    loaded = backbone.load()
    assert type(loaded.model).__name__ == (architecture.loaded or architecture.model)
    asked = requests(sample_sentences)
    generator = backbone.generator(stop=(), seed=0)
    replies = generator.answer(asked)
    generator.close()
    assert "slower" not in caplog.text
    ends = loaded.tokenizer.convert_tokens_to_ids(list(architecture.turn_ends))
    for request, reply in zip(asked, replies, strict=True):
        ids = loaded.wrapping.prompt_ids(request.prompt)
        with torch.inference_mode():
            output = loaded.model.generate(
                torch.tensor([ids]), max_new_tokens=request.max_new_tokens, do_sample=False,
                eos_token_id=ends, pad_token_id=ends[-1],
            )  # fmt: skip
        new = [token for token in output[0, len(ids) :].tolist() if token not in ends]
        assert reply.text == loaded.tokenizer.decode(new, skip_special_tokens=True)
        assert reply.prompt_tokens == len(ids)


@pytest.mark.parametrize(("name", "option"), ONE_EACH)
def test_an_answer_ends_at_every_end_of_a_turn(
    name: str, option: str, folders: dict[str, Path]
) -> None:
    """At GLM's next `<|user|>` too, which no template writes behind an answer."""
    loaded = of(option, folders).load()
    ids = torch.tensor([loaded.wrapping.prompt_ids("头痛")])
    with torch.inference_mode():
        state = loaded.model.base_model(ids).last_hidden_state[0, -1]
    head = loaded.model.get_output_embeddings()
    if head.weight is loaded.model.get_input_embeddings().weight:
        head.weight = torch.nn.Parameter(head.weight.detach().clone())
    from chmed_ner.model.decoding.greedy import GreedyGenerator

    for end in loaded.tokenizer.convert_tokens_to_ids(list(ARCHITECTURES[name].turn_ends)):
        with torch.no_grad():
            head.weight.zero_()[end] = state
        generator = GreedyGenerator(loaded, batch_size=1, stop=())
        (reply,) = generator.answer([Request("a", "test", "FT", "头痛", 4)])
        assert (reply.text, reply.stop, reply.completion_tokens) == ("", "end", 1)


@pytest.mark.parametrize(("name", "option"), ONE_EACH)
def test_adapters_on_every_linear_layer_are_tuned_saved_and_loaded(
    name: str, option: str, folders: dict[str, Path], sample_sentences: list[str], tmp_path: Path
) -> None:
    backbone, asked = of(option, folders), requests(sample_sentences)
    pairs = [(sentence, "头痛-症状") for sentence in sample_sentences[:8]]
    losses: list[float] = []
    regime = configuration.option(
        "regime", "lora", learning_rate=0.05, epochs=1, batch_size=4, rank=4
    )
    replies = regime.prepare(backbone, a_task(tmp_path, pairs, losses)).answer(asked)
    assert len(losses) == 2
    adapter = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert {key.split(".")[-3] for key in adapter} == ARCHITECTURES[name].linear
    assert len(adapter) == 2 * 2 * len(ARCHITECTURES[name].linear)
    assert all(float(tensor.abs().max()) > 0 for tensor in adapter.values())
    assert regime.reopen(backbone, tmp_path, ("\n\n",)).answer(asked) == replies
    assert backbone.generator(stop=("\n\n",), seed=0).answer(asked) != replies


@pytest.mark.skipif(not HERE, reason="bitsandbytes is not installed")
@pytest.mark.parametrize(("name", "option"), ONE_EACH)
def test_adapters_are_tuned_over_four_bits(
    name: str, option: str, folders: dict[str, Path], sample_sentences: list[str], tmp_path: Path
) -> None:
    backbone, asked = of(option, folders), requests(sample_sentences)
    pairs = [(sentence, "头痛-症状") for sentence in sample_sentences[:8]]
    losses: list[float] = []
    regime = configuration.option(
        "regime", "qlora", learning_rate=0.05, epochs=1, batch_size=4, rank=4
    )
    replies = regime.prepare(backbone, a_task(tmp_path, pairs, losses)).answer(asked)
    assert len(losses) == 2
    model = backbone.quantized("nf4", "this test").load().model
    small = {key.split(".")[-1] for key, m in model.named_modules() if "4bit" in type(m).__name__}
    assert small == ARCHITECTURES[name].linear
    assert regime.reopen(backbone, tmp_path, ("\n\n",)).answer(asked) == replies


@pytest.mark.parametrize("layout", ["saved", "published", "inner"])
def test_a_model_that_sees_is_loaded_as_its_text_part(
    layout: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """From the names that transformers writes, from those of the hub, and from those in memory."""
    whole = transformers.Gemma3ForConditionalGeneration.from_pretrained(folders["gemma3"])
    tensors = {
        name: tensor.clone()
        for name, tensor in whole.state_dict().items()
        if name != "lm_head.weight"
    }
    if layout == "published":
        tensors = {
            name.removeprefix("model.").replace("language_model.", "language_model.model."): tensor
            for name, tensor in tensors.items()
        }
    for file in folders["gemma3"].iterdir():
        if layout == "saved" or file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    if layout != "saved":
        save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model, _ = load_causal_lm(tmp_path, dtype="float32", device="cpu")
    assert type(model).__name__ == "Gemma3ForCausalLM"
    ids = torch.arange(5, 45)[None]
    with torch.inference_mode():
        torch.testing.assert_close(model(ids).logits, whole.eval()(ids).logits)
    assert not [name for name, _ in model.named_parameters() if "vision" in name]


def test_a_text_part_that_is_tuned_as_a_whole_is_a_model_of_text(
    folders: dict[str, Path], sample_sentences: list[str], tmp_path: Path
) -> None:
    backbone, asked = of("gemma3_4b", folders), requests(sample_sentences)
    regime = configuration.option("regime", "full", learning_rate=0.01, epochs=1, batch_size=4)
    pairs = [(sentence, "头痛-症状") for sentence in sample_sentences[:4]]
    replies = regime.prepare(backbone, a_task(tmp_path, pairs, [])).answer(asked)
    config = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "gemma3_text"
    names = load_file(tmp_path / "model" / "model.safetensors")
    assert "model.layers.0.self_attn.q_proj.weight" in names
    assert regime.reopen(backbone, tmp_path, ("\n\n",)).answer(asked) == replies
