"""Running the program: inside this process where that is safe, else as a process of its own."""

import functools
import logging
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = {
    "joblib": ["hydra-joblib-launcher==1.2.0"],
    "submitit": ["hydra-submitit-launcher==1.2.0", "submitit==1.5.4"],
    "ray": [
        "hydra-ray-launcher==1.2.2", "ray==2.60.0", "boto3", "botocore", "jmespath", "s3transfer",
        "msgpack", "jsonschema", "jsonschema-specifications", "referencing", "rpds-py",
    ],
    "postgresql": ["psycopg==3.3.9", "psycopg-binary==3.3.9"],
    "optuna": [
        "hydra-optuna-sweeper==1.3.0", "optuna==2.10.1", "cmaes", "cliff", "colorlog", "autopage",
        "cmd2",
    ],
}  # fmt: skip
"""What an extra adds to our packages; some of it wants old companions, so it is put beside them."""

SCRIPTED = ("backbone=scripted", "regime=zero_shot")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything it said."""
        return self.out + self.err


Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """`chmed-ner ...` inside this process."""
    from chmed_ner.cli import main

    def call(*words: str) -> Ended:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Ended(code, *capsys.readouterr())

    with own_handlers():
        yield call


@contextmanager
def own_handlers() -> Iterator[None]:
    """The handlers that the block gives to the root logger go with it."""
    handlers = list(logging.root.handlers)
    yield
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()


def succeed(*words: str) -> None:
    """`chmed-ner ...` inside this process, for a fixture that several tests share; it ends well."""
    from chmed_ner.cli import main

    with own_handlers():
        assert main(list(words)) == 0


@pytest.fixture
def scripted(command: Command) -> Command:
    """`chmed-ner run` without a model and without MLflow."""
    return lambda *words: command("run", *SCRIPTED, "tracking=dry", *words)


@pytest.fixture(scope="session")
def process() -> Callable[..., subprocess.Popen[str]]:
    """`chmed-ner ...` as a process of its own, in a directory that is not the checkout."""

    def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "chmed_ner", *map(str, words)],
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return start


@pytest.fixture(scope="session")
def finished(
    process: Callable[..., subprocess.Popen[str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Ended]:
    """A finished scripted run, in MLflow, started as a user starts it; its output directory."""
    output = tmp_path_factory.mktemp("finished")
    with process("run", *SCRIPTED, f"paths.output={output}", cwd=output) as running:
        out, err = running.communicate(timeout=300)
    return output, Ended(running.returncode, out, err)


@pytest.fixture(scope="session")
def finished_run(finished: tuple[Path, Ended]) -> Path:
    """The directory of the finished run."""
    output, ended = finished
    assert ended.code == 0, ended.text
    (directory,) = (output / "runs").iterdir()
    return directory


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh SQLite store of MLflow, to be copied: making one takes seconds."""
    from chmed_ner.track.store import Store

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    Store(f"sqlite:///{path}").client()
    return path


def environment(extra: str, folder: Path) -> Path:
    """A Python that sees our packages and those of an extra; skips when they cannot be had."""
    home = folder / extra
    uv = [str(Path(sys.executable).parent / "uv")]
    if not Path(uv[0]).is_file():
        uv = ["uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, home], check=True)
    python = home / "bin" / "python"
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    Path(own, "ours.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n", encoding="utf-8")
    done = subprocess.run(
        [*uv, "pip", "install", "-q", "--no-deps", *PLUGINS[extra]],
        env={**os.environ, "VIRTUAL_ENV": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"the packages of {extra} cannot be installed: {done.stderr.strip()[-300:]}")
    return python


@pytest.fixture(scope="session")
def python_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The Python of an extra's environment, made once."""
    folder = tmp_path_factory.mktemp("environments")
    return functools.cache(lambda extra: environment(extra, folder))
