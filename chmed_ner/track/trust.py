"""What the record of a run may not decide alone: it may be a stranger's."""

import os
from pathlib import Path

from chmed_ner.errors import InputError, without_secrets


def check_links(directory: Path) -> None:
    """InputError where a link in `directory` leads out of it: whoever made it is not trusted."""
    inside = directory.resolve()
    for folder, folders, files in os.walk(inside):
        for path in (Path(folder, name) for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise InputError(f"{path}: a link that leads out of the run; remove it")


def check_address(directory: Path, address: str, *, trust: bool) -> None:
    """InputError unless the user trusts an `address` that the run in `directory` names."""
    if address and not trust:
        raise InputError(
            f"{directory}: {address} comes from the run's record, not from you: nothing is sent "
            "there; add --trust-endpoint (in Python trust_endpoint=True), or name your own"
        )


def check_store(directory: Path, uri: str | None, *, trust: bool, own: Path | None = None) -> None:
    """InputError unless the user trusts the MLflow store `uri` that the run names, or it is theirs.

    Theirs are MLFLOW_TRACKING_URI, the store in their output folder `own`, and a `mlflow.db` that
    is there already: no file is made where a record says.
    """
    file = Path((uri or "").removeprefix("sqlite:///"))
    local = str(uri).startswith("sqlite:///") and file.name == "mlflow.db"
    mine = without_secrets(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if without_secrets(uri) == mine or (local and (file.is_file() or file.parent == own)):
        return
    check_address(directory, uri or "", trust=trust)
