"""The wheel holds everything a run needs, and runs from another directory."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "chmed_ner",
    "conf",
    "experiments",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the unpacked wheel, built from a copy of the sources."""
    source = tmp_path_factory.mktemp("source")
    for part in PARTS:
        path = ROOT / part
        if path.is_dir():
            shutil.copytree(path, source / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.is_file():
            shutil.copy(path, source)
    wheels = tmp_path_factory.mktemp("wheels")
    uv = Path(sys.executable).parent / "uv"
    builder = (
        [str(uv), "build", "--wheel", "--out-dir", str(wheels), str(source)]
        if uv.is_file()
        else [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(wheels), str(source)]
    )
    subprocess.run(builder, check=True, cwd=source, timeout=300)
    (wheel,) = wheels.glob("chmed_ner-*.whl")
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def files(folder: Path, pattern: str) -> set[str]:
    """The files below `folder`, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob(pattern) if path.is_file()}


def test_configuration_sweeps_and_sample_lie_inside(site: Path) -> None:
    package = site / "chmed_ner"
    assert files(package / "conf", "*.yaml") == files(ROOT / "conf", "*.yaml")
    assert files(package / "experiments" / "sweep", "*.yaml") == files(
        ROOT / "experiments" / "sweep", "*.yaml"
    )
    assert files(package / "data" / "sample", "*") == files(
        ROOT / "chmed_ner" / "data" / "sample", "*"
    )
    assert files(package, "*.py") == files(ROOT / "chmed_ner", "*.py")
    top = {path.name for path in site.iterdir()}
    assert len(top) == 2, "a wheel holds the package and its metadata"
    assert not (package / "experiments" / "README.md").exists()


def python(site: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """This interpreter with the wheel's package, and a home of its own."""
    environment = {
        "PYTHONPATH": str(site), "PATH": "/usr/bin:/bin", "HOME": str(cwd), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_it_runs_from_another_directory(site: Path, tmp_path: Path) -> None:
    where = python(site, tmp_path, "-c", "import chmed_ner; print(chmed_ner.__file__)")
    assert where.stdout.strip() == str(site / "chmed_ner" / "__init__.py")
    done = python(
        site, tmp_path, "-m", "chmed_ner", "run", "backbone=scripted", "regime=zero_shot",
        "tracking=dry", "paths.output=out",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "out" / "runs").iterdir()
    assert (run / "report.html").is_file()
    assert not list(site.rglob("runs"))


def test_sweeps_are_found_and_outputs_go_to_the_user_s_own_folder(
    site: Path, tmp_path: Path
) -> None:
    shown = python(site, tmp_path, "-m", "chmed_ner", "run", "sweep=regimes", "--cfg", "job")
    assert shown.returncode == 0, shown.stderr
    assert "experiment: regimes" in shown.stdout
    resolved = python(
        site, tmp_path, "-m", "chmed_ner", "run", "--cfg", "job", "--resolve",
    )  # fmt: skip
    assert f"output: {tmp_path}/.local/share/chmed_ner/outputs" in resolved.stdout
