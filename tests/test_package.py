"""What holds for the whole package: sizes, names, no pickle, and what starts quickly."""

import ast
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "chmed_ner"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {
    "torch", "transformers", "peft", "safetensors", "gguf", "opencc", "mlflow", "hydra",
    "omegaconf", "numpy", "requests", "openai", "matplotlib", "pandas", "scipy", "sklearn",
    "datasets",
}  # fmt: skip
"""Libraries that are imported where they are used, never on the way in."""


def test_no_module_is_longer_than_250_lines() -> None:
    assert len(MODULES) > 60
    for path in MODULES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 250, f"{path}: {lines} lines"


def test_names_are_the_field_s() -> None:
    for path in [*PACKAGE.rglob("*"), *(ROOT / "tests").rglob("*.py")]:
        assert not {"utils", "util", "helpers", "helper", "common", "misc"} & set(
            path.stem.lower().split("_")
        ), path


def test_no_pickle_and_no_eval() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & {"pickle", "dill"}, path


def test_the_top_level_holds_what_design_says() -> None:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert top <= {
        "pyproject.toml", "Makefile", "README.md", "README.zh-Hant.md", "README.zh-Hans.md",
        "LICENSE", "CHANGELOG.md", "requirements.lock", ".ci", ".github", ".gitignore",
        ".pre-commit-config.yaml", "conf", "chmed_ner", "experiments", "tests", "outputs",
    }  # fmt: skip
    outputs = {line for line in listed.stdout.splitlines() if line.startswith("outputs/")}
    assert outputs <= {"outputs/.gitignore"}


def seconds_of(*words: str) -> float:
    """The best processor time of three: what it takes on a machine that does nothing else."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], check=True, capture_output=True, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


@pytest.mark.parametrize(
    "words", [("-c", "import chmed_ner"), ("-m", "chmed_ner", "--help")], ids=["import", "help"]
)
def test_starting_takes_under_a_second(words: tuple[str, ...]) -> None:
    assert seconds_of(*words) < 1.0


@pytest.mark.parametrize(
    "statement",
    [
        "import chmed_ner",
        "from chmed_ner.cli import main; main(['--help'])",
        "from chmed_ner.cli import main; main(['data', 'list'])",
        "from chmed_ner.cli import main; main(['score'])",
    ],
)
def test_nothing_heavy_is_imported_for(statement: str) -> None:
    program = f"import json, sys\n{statement}\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_a_scripted_run_needs_no_torch(tmp_path: Path) -> None:
    words = [
        "run", "backbone=scripted", "regime=zero_shot", "tracking=dry", "limit.test=2",
        f"paths.output={tmp_path}",
    ]  # fmt: skip
    program = (
        "import json, sys\nfrom chmed_ner.cli import main\n"
        f"assert main({words!r}) == 0\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not {"torch", "transformers", "peft", "mlflow"} & loaded
    assert "hydra" in loaded
