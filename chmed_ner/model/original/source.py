"""The files of an original checkpoint, in a folder or fetched from the hub, and their tensors."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.errors import InputError, first_line
from chmed_ner.files import read_json
from chmed_ner.model.hub import MIRROR, hub_away

if TYPE_CHECKING:
    from torch import Tensor


INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SINGLE = ("model.safetensors", "pytorch_model.bin")
SETTINGS = ("*.json", "tokenizer.model")
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
"""The better kind first; only one is fetched. Nobody's Python files are."""


def small_file(path_or_id: str | Path, name: str, revision: str | None) -> Path | None:
    """A file of the folder or hub repository, fetched if need be; None when it is not there."""
    if Path(path_or_id).is_dir():
        file = Path(path_or_id) / name
        return file if file.is_file() else None
    from transformers.utils.hub import cached_file

    hub_away()
    try:
        found = cached_file(
            str(path_or_id),
            name,
            revision=revision,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    except (OSError, ValueError):  # no such repository or revision: its loader says so
        return None
    return Path(found) if found else None


def settings(path_or_id: str | Path, name: str, revision: str | None) -> dict[str, Any] | None:
    """The `json_object` in a file of the folder or repository."""
    file = small_file(path_or_id, name, revision)
    return None if file is None else json_object(file)


def json_object(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None when there is none to read (who loads the model says so)."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def checkpoint_folder(path_or_id: str | Path, revision: str | None) -> Path:
    """The local folder itself, or one with the hub repository's settings and weights.

    Without a network an earlier download serves. InputError: no network and nothing is there.
    """
    if Path(path_or_id).is_dir():
        return Path(path_or_id)
    from huggingface_hub import HfApi, snapshot_download

    repository, away = str(path_or_id), hub_away()
    try:
        listed = HfApi().list_repo_files(repository, revision=revision)
        has_safetensors = any(name.endswith(".safetensors") for name in listed)
        patterns = [*SETTINGS, WEIGHTS[0] if has_safetensors else WEIGHTS[1]]
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns))
    except Exception as error:  # no network, no such repository, a download that broke off
        try:
            kept = Path(snapshot_download(repository, revision=revision, local_files_only=True))
            shard_files(kept)
        except Exception:  # nothing there, or not everything
            raise InputError(
                f"backbone.path={repository}: cannot be fetched from the hub "
                f"({away or first_line(error)}); {MIRROR}, give a folder with the checkpoint, or "
                "try again"
            ) from None
        return kept


def shard_files(folder: Path) -> list[Path]:
    """The weight files of a checkpoint, safetensors before pickles; InputError: one is absent."""
    for index, single in zip(INDEXES, SINGLE, strict=True):
        if (folder / index).is_file():
            return _indexed(folder, folder / index)
        if (folder / single).is_file():
            return [folder / single]
    raise InputError(
        f"backbone.path={folder}: no weights there; give {' or '.join(SINGLE)}, or an index with "
        "its shards"
    )


def _indexed(folder: Path, index: Path) -> list[Path]:
    content = read_json(index)
    weights = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise InputError(f"{index}: has no weight_map")
    names = sorted({str(name) for name in weights.values()})
    for name in names:
        if Path(name).name != name:
            raise InputError(f"{index}: {name!r} is not in the checkpoint's folder")
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: no such file, but {index.name} names it")
    return [folder / name for name in names]


def tensors_in(file: Path) -> "Iterator[tuple[str, Tensor]]":
    """Name and tensor in turn, on the CPU, read when asked for; InputError for a broken file.

    Torch's restricted reader, which runs no code, reads pickles; only tensors by name may be in it.
    """
    return _safetensors(file) if file.suffix == ".safetensors" else _pickled(file)


def _safetensors(file: Path) -> "Iterator[tuple[str, Tensor]]":
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 (not a mapping)
                yield name, opened.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file}: cannot be read ({error}); fetch it again") from None


def _pickled(file: Path) -> "Iterator[tuple[str, Tensor]]":
    import torch

    mapped = zipfile.is_zipfile(file)  # the format before torch 1.6 cannot be mapped
    try:
        content: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # broken, or refused by torch's reader
        if type(error).__name__ == "UnpicklingError":
            raise InputError(
                f"{file}: this pickle holds something other than tensors, or is broken; nothing in "
                "it was run. Take the checkpoint from its publisher, best as safetensors"
            ) from None
        raise InputError(f"{file}: cannot be read ({first_line(error)}); fetch it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: holds a {type(content).__name__}, not tensors by name")
    for name, tensor in content.items():
        if not isinstance(name, str) or type(tensor) not in (torch.Tensor, torch.nn.Parameter):
            raise InputError(
                f"{file}: {name!r} is a {type(tensor).__name__}; a checkpoint that holds anything "
                "but tensors is not read"
            )
    yield from content.items()
