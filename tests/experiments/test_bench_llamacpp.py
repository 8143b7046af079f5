"""Decoding beside llama.cpp's server: one question, one answer on both sides, the best setting."""

import json
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from tests.model.checkpoint.test_gguf import Written

SCRIPTS = Path(__file__).parents[2] / "experiments" / "benchmark"
needs_server = pytest.mark.skipif(
    util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed"
)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`bench.py --llamacpp --smoke` on the sample corpus."""
    return subprocess.run(
        [sys.executable, str(SCRIPTS / "bench.py"), "--llamacpp", "--smoke", "dataset=sample",
         *arguments],
        capture_output=True, text=True, timeout=500,
    )  # fmt: skip


@pytest.mark.slow
@needs_server
def test_both_sides_answer_the_same_questions(tmp_path: Path, tiny_tokenizer: Any) -> None:
    file = Written("qwen2", tiny_tokenizer).write(tmp_path / "tiny.gguf")
    done = bench(  # llama.cpp knows the end of a turn by the names that real models give it
        "backbone=gguf", f"backbone.path={file}", "backbone.dtype=float32", "backbone.device=cpu",
        f"backbone.cache={tmp_path}", "backbone.chat=never", f"--output={tmp_path / 'bench'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "bench" / "bench.json").read_text(encoding="utf-8"))
    settings = found.pop("decode_vs_llamacpp_settings")
    assert set(found) == {"decode_vs_llamacpp", "decode_memory_vs_llamacpp"}
    assert all(value > 0 for value in found.values())
    assert settings["ours"]["weights"] == "float32"
    details = json.loads((tmp_path / "bench" / "bench_details.json").read_text(encoding="utf-8"))
    agreement = details["llamacpp"]["agreement"]
    assert agreement["same_prompt_tokens"] == 1
    assert agreement["same_text"] > 0  # its keys and values are float16: ties fall otherwise
    tried = details["llamacpp"]["choice"]["tried"]
    best = min(tried, key=lambda each: each["seconds"])
    best.pop("seconds")
    assert best.items() <= settings["llamacpp"].items()
    assert f"decode_vs_llamacpp: {found['decode_vs_llamacpp']:.2f}" in done.stdout


@needs_server
@pytest.mark.parametrize(
    ("word", "said"),
    [("backbone=scripted", "qwen2_5_coder_1_5b"), ("decoding=constrained", "decoding=greedy")],
)
def test_what_it_cannot_compare_is_refused(
    tmp_path: Path, tiny_tokenizer: Any, word: str, said: str
) -> None:
    file = Written("qwen2", tiny_tokenizer).write(tmp_path / "tiny.gguf")
    gguf = ["backbone=gguf", f"backbone.path={file}", f"backbone.cache={tmp_path}"]
    chosen = [word] if word.startswith("backbone") else [*gguf, word]
    done = bench(f"--output={tmp_path / 'bench'}", *chosen)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "bench").exists()


@pytest.mark.skipif(util.find_spec("xllamacpp") is not None, reason="xllamacpp is installed")
def test_a_missing_server_is_named(tmp_path: Path) -> None:
    done = bench(f"--output={tmp_path / 'bench'}")
    assert done.returncode == 2, done.stderr
    assert "extra 'bench'" in done.stderr


def test_the_fastest_setting_is_found() -> None:
    program = f"""
import json, sys
sys.path.insert(0, {str(SCRIPTS)!r})
from bench_llamacpp import SETTINGS, best_setting
wanted = {{name: values[-1] for name, values in SETTINGS.items()}} | {{"slots": 16}}
asked = []
def seconds(setting):
    asked.append(setting)
    return 1.0 + sum(setting[name] != value for name, value in wanted.items())
best, tried = best_setting(seconds, None)
print(json.dumps([best == wanted, len(tried) == len(asked),
                  {{each["slots"] for each in tried}} == set(SETTINGS["slots"])]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, once, all_slots = json.loads(done.stdout)
    assert found
    assert once, "no setting is timed twice"
    assert all_slots
