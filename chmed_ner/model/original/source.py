"""The files of an original checkpoint: in a local folder, or fetched from a hub repository."""

import json
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError, first_line
from chmed_ner.model.original.shards import shard_files

SETTINGS = ("*.json", "tokenizer.model")
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
"""The better kind first; only one is fetched. Nobody's Python files are."""


def small_file(path_or_id: str | Path, name: str, revision: str | None) -> Path | None:
    """A file of the folder or hub repository, fetched if need be; None when it is not there."""
    if Path(path_or_id).is_dir():
        file = Path(path_or_id) / name
        return file if file.is_file() else None
    from transformers.utils.hub import cached_file

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
    """The object in a JSON file of the folder or repository; None when there is none to read."""
    file = small_file(path_or_id, name, revision)
    if file is None:
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # transformers says so
        return None
    return content if isinstance(content, dict) else None


def checkpoint_folder(path_or_id: str | Path, revision: str | None) -> Path:
    """The local folder itself, or the hub repository's files that are needed, fetched.

    Fetches safetensors where the repository has them, else the pickled weights. Without a network
    an earlier download serves. InputError when the hub cannot be reached and nothing is there.
    """
    if Path(path_or_id).is_dir():
        return Path(path_or_id)
    from huggingface_hub import HfApi, snapshot_download

    repository = str(path_or_id)
    try:
        listed = HfApi().list_repo_files(repository, revision=revision)
        has_safetensors = any(name.endswith(".safetensors") for name in listed)
        patterns = [*SETTINGS, WEIGHTS[0] if has_safetensors else WEIGHTS[1]]
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns))
    except Exception as error:  # no network, no such repository, a download that broke off
        kept = _fetched_before(repository, revision)
        if kept is None:
            raise InputError(
                f"backbone.path={repository}: cannot be fetched from the hub "
                f"({first_line(error)}); give a folder with the checkpoint, or try again"
            ) from None
        return kept


def _fetched_before(repository: str, revision: str | None) -> Path | None:
    """The folder of an earlier download that is complete, None when there is none."""
    from huggingface_hub import snapshot_download

    try:
        kept = Path(snapshot_download(repository, revision=revision, local_files_only=True))
        shard_files(kept)
    except Exception:  # nothing there, or not everything
        return None
    return kept
