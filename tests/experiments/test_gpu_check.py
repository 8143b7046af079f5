"""The GPU check with tiny shapes on a CPU: its parts hold, and they can fail."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "experiments" / "benchmark"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The benchmark's modules can be imported; they are forgotten afterwards."""
    monkeypatch.syspath_prepend(SCRIPTS)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("bench_", "gpu_")):
            del sys.modules[name]


def test_the_script_measures_every_part(tmp_path: Path) -> None:
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    arguments = f"--tiny --shapes gemma3_tiny --output {tmp_path / 'check'}"
    done = subprocess.run(
        ["make", "-C", str(tmp_path), "-f", str(ROOT / "Makefile"), "-o", ".venv/.ready",
         f"BIN={Path(sys.executable).parent}", "gpu-check", f"ARGS={arguments}"],
        capture_output=True, text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "check" / "gpu_check.json").read_text(encoding="utf-8"))
    assert {"gpu", "machine", "versions", "commit"} <= set(found)
    parts = found["shapes"]["gemma3_tiny"]
    for part, each in parts.items():
        assert f"gemma3_tiny  {part:<9} {each['status']:<10} {each['said']}" in done.stdout
    assert {part: each["status"] for part, each in parts.items() if part != "nf4"} == {
        "tokens": "holds", "step": "holds", "decoding": "measured", "training": "measured",
    }  # fmt: skip
    assert parts["nf4"]["status"] in ("measured", "skipped")
    assert parts["tokens"]["figures"]["constrained"]["sentences"] == 8
    decoded, trained = parts["decoding"]["figures"], parts["training"]["figures"]
    for side in (decoded["ours"], decoded["constrained"], decoded["generate"]):
        assert min(side["sentences_per_second"], side["peak_mib"]) > 0
    assert trained["ours"]["losses"] == pytest.approx(trained["trainer"]["losses"], rel=0.02)


def test_another_family_and_a_wrong_token(tmp_path: Path) -> None:
    from gpu_same import TIE, widest_gap
    from gpu_shapes import TINY as SHAPES, write_folder
    from gpu_side import measured
    from gpu_subject import DECODINGS, TINY, Subject

    from chmed_ner.model import LocalGenerator

    shape = SHAPES["qwen3_tiny"]
    write_folder(shape, tmp_path)
    subject = Subject(shape, tmp_path, TINY)
    assert [measured(part, subject).status for part in ("tokens", "step")] == ["holds"] * 2
    failed = measured("no such part", subject)
    assert (failed.status, failed.said) == ("failed", "KeyError: 'no such part'")
    loop = LocalGenerator(subject.loaded("float32"), batch_size=2, stop=subject.stop)
    model = loop.loaded.model
    for decoding in DECODINGS:
        asked = subject.requests(decoding, 3, 12)
        for request, writer in zip(asked, loop.written(asked), strict=True):
            prompt = loop.prompt_ids(request)
            assert widest_gap(model, prompt, writer) < TIE
            at = next((n for n, token in enumerate(writer.tokens) if token > 300), 0)
            if decoding == "greedy":  # another one than the likeliest
                writer.tokens[at] -= 1
                assert widest_gap(model, prompt, writer) > TIE


def test_random_models_have_a_whole_vocabulary() -> None:
    """Every token can be told from every other by its text, and sentences are read as they are."""
    from gpu_shapes import a_tokenizer, sample_texts

    texts = sample_texts()
    tokenizer = a_tokenizer(texts, 30_000)
    assert len(tokenizer) == 30_000
    assert len({tokenizer.decode([token]) for token in range(8000, 30_000)}) == 22_000
    for text in texts[:20]:
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_what_cannot_be_measured_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from gpu_check import main

    def said(*arguments: str) -> tuple[int, Any]:
        return main([*arguments, "--output", str(tmp_path)]), capsys.readouterr()

    if not torch.cuda.is_available():
        code, out = said()
        assert (code, "--tiny" in out.err) == (2, True)
    code, out = said("--tiny", "--shapes", "gpt5")
    assert code == 2
    assert "--shapes=gpt5: choose among gemma3_tiny, qwen3_tiny" in out.err
    assert not list(tmp_path.iterdir())
    code, out = said("--tiny", "--seconds", "0")
    assert code == 1
    assert out.out.count("unfinished no time was left") == 10
    shapes = json.loads((tmp_path / "gpu_check.json").read_text(encoding="utf-8"))["shapes"]
    assert {part["status"] for parts in shapes.values() for part in parts.values()} == {
        "unfinished"
    }
