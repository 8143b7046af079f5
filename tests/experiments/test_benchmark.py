"""The benchmark at smoke scale on a tiny model: its keys, its files, what it holds equal."""

import json
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "experiments" / "benchmark"
DECODING = {
    "decode_vs_generate", "constrained_vs_generate",
    "decode_memory_vs_generate", "constrained_memory_vs_generate",
}  # fmt: skip
WITH_TRL = {"train_vs_trl", "train_memory_vs_trl", "train_memory_vs_trl_checkpointing"}
TRL = util.find_spec("trl") is not None


def words(model: Path) -> list[str]:
    """The sample corpus and a tiny model."""
    return [
        "dataset=sample", "backbone=causal_lm", f"backbone.path={model}", "backbone.dtype=float32",
        "backbone.device=cpu", "backbone.batch_size=2", "regime.batch_size=4", "regime.rank=4",
    ]  # fmt: skip


def python(*arguments: str, timeout: float = 500) -> subprocess.CompletedProcess[str]:
    """This interpreter on one of the scripts or on a program text."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=timeout
    )


def asked(program: str, *arguments: str) -> Any:
    """What a program that imports the benchmark's modules prints as JSON."""
    done = python("-c", f"import json, sys\nsys.path.insert(0, {str(SCRIPTS)!r})\n{program}",
                  *arguments)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_bench_writes_a_flat_object_of_ratios(tmp_path: Path, tiny_llama: Path) -> None:
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    arguments = ["--smoke", f"--output={tmp_path / 'bench'}", *words(tiny_llama)]
    done = subprocess.run(
        ["make", "-C", str(tmp_path), "-f", str(ROOT / "Makefile"), "-o", ".venv/.ready",
         f"BIN={Path(sys.executable).parent}", "bench", f"ARGS={' '.join(arguments)}"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    ratios = json.loads((tmp_path / "bench" / "bench.json").read_text(encoding="utf-8"))
    assert set(ratios) == DECODING | {"train_vs_trainer"} | (WITH_TRL if TRL else set())
    assert all(type(value) is float and value > 0 for value in ratios.values())
    details = json.loads((tmp_path / "bench" / "bench_details.json").read_text(encoding="utf-8"))
    assert {key: value["median"] for key, value in details["ratios"].items()} == ratios
    assert set(details["skipped"]) == (set() if TRL else WITH_TRL)
    assert set(details["decoding"]["growth_with_sentences"]) == {"constrained"}
    steps = details["training"]["step_seconds"]
    assert {len(each) for rounds in steps.values() for each in rounds} == {2}
    ours, theirs = sum(steps["ours"][0]), sum(steps["trainer"][0])
    assert ratios["train_vs_trainer"] == pytest.approx(theirs / ours)
    assert details["decoding"]["same_text_as_generate"]["ours"] == 4  # float32: the same tokens
    assert details["end_to_end"]["sentences"] == 12  # 4 of each genre
    assert {"machine", "versions", "commit", "seeds"} <= set(details)
    for key, value in ratios.items():
        assert f"{key} " in done.stdout
        assert f"{value:.2f}" in done.stdout


@pytest.mark.slow
def test_decoding_alone_is_measured(tmp_path: Path, tiny_llama: Path) -> None:
    done = python(str(SCRIPTS / "bench.py"), "--smoke", "--decoding", "--growth",
                  f"--output={tmp_path}", *words(tiny_llama))  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    ratios = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert set(ratios) == DECODING
    details = json.loads((tmp_path / "bench_details.json").read_text(encoding="utf-8"))
    assert set(details["skipped"]) == WITH_TRL | {"train_vs_trainer"}
    assert not details["training"]
    assert not list((tmp_path / "work").glob("*trainer*"))
    assert details["decoding"]["sentences"] == 4
    both = details["decoding"]["growth_with_sentences"]
    assert set(both) == {"ours", "constrained"}
    for name, growth in both.items():
        assert f"growth with sentences ({name}): 2, 4, 8 in" in done.stdout
        assert growth["sentences"] == [2, 4, 8]
        assert all(seconds > 0 for seconds in growth["seconds"])
        assert set(growth["fit"]) == {"slope", "start", "r2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "peer",
    [
        "trainer",
        pytest.param("trl", marks=pytest.mark.skipif(not TRL, reason="trl is not installed")),
    ],
)
def test_our_loss_is_the_peer_s_on_the_same_batches(
    tmp_path: Path, tiny_llama: Path, peer: str
) -> None:
    done = python(
        str(SCRIPTS / "loss_parity.py"), "--steps", "6", "--seeds", "5", "--tolerance", "0.1",
        f"--peer={peer}", "--output", str(tmp_path), *words(tiny_llama),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads((tmp_path / "loss_parity.json").read_text(encoding="utf-8"))["rows"]
    assert row["losses"]["ours"] == pytest.approx(row["losses"][peer], rel=1e-3)
    assert len(set(row["losses"]["ours"])) == 6


def test_every_side_reads_the_batches_of_our_loop(tiny_llama: Path) -> None:
    program = """
from bench_data import material
from bench_side import batches_of, examples_of
from chmed_ner.train.recipe import epoch_batches
what = material(sys.argv[1:], 13)
taken = what.taken(0, 60)  # more than the 50 of a pool
ours, theirs = what.job("ours", taken, 7), what.job("trainer", taken, 7)
read = batches_of(theirs)
flat = lambda batches: sorted((e.prompt, e.answer) for batch in batches for e in batch)
print(json.dumps([
    [len(batch) for batch in read],
    flat(read) == flat(taken),
    read == epoch_batches(examples_of(ours), 4, 7, 0),
    [sum(map(len, batch)) for batch in read],
    what.by_length(4, 5) and [len(part) for part in what.by_length(4, 5)],
    what.sentences(10, 1, "a") == what.sentences(10, 1, "a") != what.sentences(10, 1, "b"),
    len(what.taken(len(what.batches) - 1, 3)),
    [len({e.prompt for b in what.batches for e in b}), sum(map(len, what.batches))],
]))
"""
    sizes, same, ordered, tokens, groups, drawn, wrapped, prompts = asked(
        program, *words(tiny_llama)
    )
    assert sizes == [4] * 60
    assert same
    assert ordered
    assert len(set(tokens)) > 1
    assert groups == [5] * 4
    assert drawn
    assert wrapped == 3
    different, examples = prompts
    assert different == examples, "every prompt holds its sentence"


def test_growth_is_fitted() -> None:
    program = """
from bench_run import exponent, linear_fit, spread
x = [1000, 2000, 4000]
print(json.dumps([
    exponent(x, [2 * each for each in x]), exponent(x, [each**2 for each in x]),
    linear_fit(x, [3 * each + 7 for each in x]), linear_fit(x, [1, 5, 2])["r2"],
    spread([3.0, 1.0, 2.0]),
]))
"""
    linear, square, fit, poor, ratio = asked(program)
    assert linear == pytest.approx(1)
    assert square == pytest.approx(2)
    assert fit == pytest.approx({"slope": 3, "start": 7, "r2": 1})
    assert poor < 0.5
    assert ratio == {"median": 2, "low": 1, "high": 3, "rounds": [3, 1, 2]}


def test_growth_that_would_take_too_long_is_left_out() -> None:
    program = """
from bench import grow
from bench_training import Found
found = Found(details={"sentences_per_second": {"constrained": {"median": 2.0}}})
grow(None, (60, 120), left=134, found=found, both=False)  # 180 sentences may take 135 seconds
print(json.dumps([found.skipped, sorted(found.details)]))
"""
    skipped, details = asked(program)
    assert "--growth" in skipped["growth_with_sentences"]
    assert details == ["sentences_per_second"]


@pytest.mark.parametrize(
    ("script", "arguments", "said"),
    [
        ("bench.py", ["dataset=nothing"], "nothing"),
        pytest.param(
            "bench.py", ["dataset=sample", "regime.batch_size=5000"], "regime.batch_size",
            marks=pytest.mark.slow,
        ),
        ("bench.py", ["dataset=sample", "regime=full"], "regime=lora"),
        ("loss_parity.py", ["--steps", "1"], "--steps=1"),
    ],
)  # fmt: skip
def test_bad_input_is_named(
    tmp_path: Path, tiny_llama: Path, script: str, arguments: list[str], said: str
) -> None:
    chosen = [word for word in words(tiny_llama) if not word.startswith(("dataset", "regime."))]
    done = python(str(SCRIPTS / script), "--output", str(tmp_path), *arguments, *chosen)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
