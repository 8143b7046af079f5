"""The benchmark of scoring, at smoke scale: what it measures, and that its systems are a seed's."""

import json
import subprocess
import sys
from pathlib import Path

import chmed_ner

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "experiments" / "benchmark" / "score_speed.py"
SAMPLE = Path(chmed_ner.__file__).parent / "data" / "sample"
FILES = [str(SAMPLE / f"test_{genre}.txt") for genre in ("FT", "WA")]


def test_it_prints_and_writes_the_ratios(tmp_path: Path) -> None:
    target = tmp_path / "speed.json"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *FILES, "--repeats", "1", "--json", str(target)],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(target.read_text(encoding="utf-8"))
    assert figures["sentences"] == 67
    assert all(value > 0 for value in figures.values())
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(figures)
    for ratio, slow, fast in [
        ("score_times_as_fast_as_seqeval", "seqeval_seconds", "score_seconds"),
        ("bootstrap_times_as_fast_as_plain", "plain_bootstrap_seconds", "bootstrap_seconds"),
    ]:
        assert abs(figures[ratio] - figures[slow] / figures[fast]) < 1e-9


def test_its_systems_are_middling_and_a_seed_s_own() -> None:
    program = (
        "import json, sys\n"
        f"sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "from pathlib import Path\n"
        "from score_speed import perturbed, read\n"
        "from chmed_ner.score.official import score_sentences\n"
        f"gold = read(Path({FILES[0]!r}))\n"
        "tags = [perturbed(gold, seed) for seed in (1, 1, 2)]\n"
        "f1 = score_sentences(gold, tags[0], separators=0).overall.f1\n"
        "print(json.dumps([tags[0] == tags[1], tags[0] == tags[2], f1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    same, other, f1 = json.loads(done.stdout)
    assert same
    assert not other
    assert 50 < f1 < 90
