"""Facts about backbones in their YAML files, and the table that is made of them."""

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.errors import InputError
from chmed_ner.run.config import option
from experiments.backbones.facts import read_facts
from experiments.backbones.table import BEGIN, END, main, with_table

CONF = Path(__file__).parents[2] / "conf" / "backbone"
HERE = importlib.util.find_spec("bitsandbytes") is not None
LEFT_TO_THE_USER = {"causal_lm", "encoder", "gguf", "openai_compatible", "scripted", "none"}
GROUPED = {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
SIZES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3_0_6b": ("Qwen3Config", {
        **GROUPED, "num_attention_heads": 16, "hidden_size": 1024, "intermediate_size": 3072,
        "num_hidden_layers": 28, "vocab_size": 151_936, "tie_word_embeddings": True,
    }),
    "qwen3_1_7b": ("Qwen3Config", {
        **GROUPED, "num_attention_heads": 16, "hidden_size": 2048, "intermediate_size": 6144,
        "num_hidden_layers": 28, "vocab_size": 151_936, "tie_word_embeddings": True,
    }),
    "qwen3_4b": ("Qwen3Config", {
        **GROUPED, "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
        "vocab_size": 151_936, "tie_word_embeddings": True,
    }),
    "qwen3_8b": ("Qwen3Config", {
        **GROUPED, "hidden_size": 4096, "intermediate_size": 12_288, "num_hidden_layers": 36,
        "vocab_size": 151_936, "tie_word_embeddings": False,
    }),
    "qwen2_5_0_5b": ("Qwen2Config", {
        "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
        "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151_936,
        "tie_word_embeddings": True,
    }),
    "qwen2_5_1_5b": ("Qwen2Config", {
        "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
        "num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": 151_936,
        "tie_word_embeddings": True,
    }),
    "qwen2_5_7b": ("Qwen2Config", {
        "hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152_064,
        "tie_word_embeddings": False,
    }),
    "glm4_9b": ("GlmConfig", {
        **GROUPED, "num_key_value_heads": 2, "hidden_size": 4096, "intermediate_size": 13_696,
        "num_hidden_layers": 40, "vocab_size": 151_552, "attention_bias": True,
        "tie_word_embeddings": False,
    }),
    "chatglm2_6b": ("GlmConfig", {
        **GROUPED, "num_key_value_heads": 2, "hidden_size": 4096, "intermediate_size": 13_696,
        "num_hidden_layers": 28, "vocab_size": 65_024, "attention_bias": True,
        "tie_word_embeddings": False, "pad_token_id": 0, "eos_token_id": 2,
    }),
    "baichuan_7b": ("LlamaConfig", {
        "hidden_size": 4096, "intermediate_size": 11_008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "vocab_size": 64_000, "tie_word_embeddings": False,
    }),
    "llama3_1_8b": ("LlamaConfig", {
        **GROUPED, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32,
        "vocab_size": 128_256, "tie_word_embeddings": False,
    }),
    "llama3_2_1b": ("LlamaConfig", {
        **GROUPED, "head_dim": 64, "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "vocab_size": 128_256, "tie_word_embeddings": True,
    }),
    "gemma3_270m": ("Gemma3TextConfig", {
        "hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
        "vocab_size": 262_144,
    }),
    "gemma3_1b": ("Gemma3TextConfig", {
        "hidden_size": 1152, "intermediate_size": 6912, "num_hidden_layers": 26,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
        "vocab_size": 262_144,
    }),
    "gemma3_4b": ("Gemma3TextConfig", {
        "hidden_size": 2560, "intermediate_size": 10_240, "num_hidden_layers": 34,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
        "vocab_size": 262_208,
    }),
}  # fmt: skip
SIZES |= {f"qwen2_5_coder_{size}": SIZES[f"qwen2_5_{size}"] for size in ("0_5b", "1_5b")}
"""The sizes in the published config.json of each model, which decide its number of parameters."""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A copy of conf/backbone to be spoiled."""
    return Path(shutil.copytree(CONF, tmp_path / "backbone"))


def edit(file: Path, pattern: str, new: str) -> None:
    """Replace the one place that `pattern` matches."""
    text, count = re.subn(pattern, new, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1
    file.write_text(text, encoding="utf-8")


def test_the_table_is_the_one_that_its_options_make() -> None:
    """If this fails: python -m experiments.backbones.table."""
    assert (CONF / "README.md").read_text(encoding="utf-8") == with_table(CONF)


def test_every_option_that_names_a_model_has_a_row() -> None:
    table = with_table(CONF).partition(BEGIN)[2].partition(END)[0]
    rows = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert set(rows) == {file.stem for file in CONF.glob("*.yaml")} - LEFT_TO_THE_USER
    assert len(rows) == len(set(rows))
    assert rows[0] == "gemma3_270m"
    assert rows[-1] == "chatgpt_3_5"


def test_a_row() -> None:
    row = next(line for line in with_table(CONF).splitlines() if line.startswith("| `qwen3_8b`"))
    assert row == (
        "| `qwen3_8b` | Qwen/Qwen3-8B | chat | 8.19 B | yes | Apache-2.0 | 32,768 | bfloat16 "
        "| 15.26 | 5.66 |"
    )


def test_an_edited_table_is_made_anew(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (conf / "README.md").read_text(encoding="utf-8")
    edit(conf / "README.md", r"\| 15\.26 \|", "| 1.26 |")
    assert main([str(conf)]) == 0
    assert (conf / "README.md").read_text(encoding="utf-8") == whole
    (conf / "mine.yaml").write_text(
        "# A model of mine.\n# Kind: base\n# Licence: CC0\n# Parameters: 1500000\n"
        "# In linear layers: 1,000,000\n# Chinese in pre-training: not named\n# Context: unknown\n"
        "# Precision: float32\npath: me/mine\n",
        encoding="utf-8",
    )
    assert main([str(conf)]) == 0
    made = (conf / "README.md").read_text(encoding="utf-8")
    assert "`mine` | me/mine | base | 0.00 B | not named | CC0 | unknown | float32 |" in made
    assert len(made.splitlines()) == len(whole.splitlines()) + 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "key",
    [
        "Kind", "Licence", "Parameters", "In linear layers", "Chinese in pre-training", "Context",
        "Precision",
    ],
)  # fmt: skip
def test_a_fact_that_is_missing_is_named(conf: Path, key: str) -> None:
    edit(conf / "glm4_9b.yaml", rf"^# {key}: .*\n", "")
    with pytest.raises(InputError, match=rf"glm4_9b\.yaml: no line '# {key}: \.\.\.'"):
        with_table(conf)


@pytest.mark.parametrize(
    ("key", "value", "cure"),
    [
        ("Kind", "instruct", "give one of base, chat"),
        ("Parameters", "4B", "give a whole number, or unknown"),
        ("Parameters", "40,22", "give a whole number, or unknown"),
        ("Context", "0", "give a whole number, or unknown"),
        ("Chinese in pre-training", "no", "give one of yes, some, not named, unknown"),
        ("Precision", "auto", "give one of bfloat16, float16, float32, unknown"),
    ],
)
def test_a_fact_of_another_form_is_named(conf: Path, key: str, value: str, cure: str) -> None:
    edit(conf / "qwen3_4b.yaml", rf"^# {key}: .*$", f"# {key}: {value}")
    with pytest.raises(InputError, match=rf"qwen3_4b\.yaml, line \d: {key}: {value}: {cure}"):
        read_facts(conf / "qwen3_4b.yaml")


def test_facts_that_contradict(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = conf / "qwen3_4b.yaml"
    edit(file, r"^# Parameters: .*$", "# Parameters: 4,022")
    assert main([str(conf)]) == 2
    assert "more parameters in linear layers than in all" in capsys.readouterr().err
    edit(file, r"^# Parameters: .*$", "# Parameters: 5,000,000,000\n# Parameters: 6,000,000,000")
    with pytest.raises(InputError, match=r"qwen3_4b\.yaml, line 5: Parameters is given twice"):
        read_facts(file)


@pytest.mark.parametrize("mark", [BEGIN, END])
def test_a_readme_without_the_table_s_place(conf: Path, mark: str) -> None:
    edit(conf / "README.md", re.escape(mark), "")
    before = (conf / "README.md").read_text(encoding="utf-8")
    assert main([str(conf)]) == 2
    assert (conf / "README.md").read_text(encoding="utf-8") == before
    (conf / "README.md").unlink()
    with pytest.raises(InputError, match=r"README\.md: cannot be read"):
        with_table(conf)


def test_every_size_is_known() -> None:
    named = {file.stem for file in CONF.glob("*.yaml")} - LEFT_TO_THE_USER
    assert named - {"chatgpt_3_5"} == set(SIZES)


@pytest.mark.slow
@pytest.mark.parametrize("option", sorted(SIZES))
def test_parameters_are_those_of_the_architecture(option: str) -> None:
    """Built without memory from the published sizes."""
    import torch
    import transformers

    facts = read_facts(CONF / f"{option}.yaml")
    assert facts is not None
    name, sizes = SIZES[option]
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, name)(**sizes))
    assert sum(parameter.numel() for parameter in model.parameters()) == facts.parameters
    linear = [m for m in model.model.modules() if isinstance(m, torch.nn.Linear)]
    assert sum(module.weight.numel() for module in linear) == facts.in_linear_layers


@pytest.mark.skipif(not HERE, reason="bitsandbytes is not installed")
def test_memory_is_that_of_the_weights_that_are_loaded(tiny_llama: Path, tmp_path: Path) -> None:
    """In 4 bits without bitsandbytes's tables: 16 and 256 float32 a layer."""
    from torch import nn

    plain = option(
        "backbone", "causal_lm", name="tiny", path=str(tiny_llama), dtype="bfloat16", device="cpu"
    ).load()
    layers = [m for m in plain.model.model.modules() if isinstance(m, nn.Linear)]
    file = tmp_path / "tiny.yaml"
    shutil.copy(CONF / "qwen3_4b.yaml", file)
    count = sum(parameter.numel() for parameter in plain.model.parameters())
    edit(file, r"^# Parameters: .*$", f"# Parameters: {count}")
    linear = sum(layer.weight.numel() for layer in layers)
    edit(file, r"^# In linear layers: .*$", f"# In linear layers: {linear}")
    facts = read_facts(file)
    assert facts is not None
    assert facts.bfloat16_bytes() == plain.weight_bytes
    small = option(
        "backbone",
        "causal_lm",
        name="t",
        path=str(tiny_llama),
        dtype="bfloat16",
        device="cpu",
        quantization="nf4",
    )
    nf4 = facts.nf4_bytes()
    assert nf4 is not None
    assert abs(small.load().weight_bytes - len(layers) * 4 * (16 + 256) - nf4) < 8 * len(layers)
