"""Which code and which versions produced a run."""

import subprocess
from importlib import metadata

from chmed_ner.files import checkout

PACKAGES = (
    "torch", "transformers", "peft", "opencc", "mlflow", "hydra-core", "numpy", "python-crfsuite",
)  # fmt: skip


def version() -> str:
    """The version of this package."""
    return metadata.version("chmed-ner")


def versions() -> dict[str, str]:
    """The versions of this package and those that a result may depend on."""
    found = {"chmed_ner": version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str:
    """The checkout's commit, with `-dirty` when tracked files have changed; empty without git."""
    root = checkout()
    if root is None:
        return ""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(checkout()), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
