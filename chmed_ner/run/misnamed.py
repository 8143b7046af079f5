"""Names that an override gets wrong: what Hydra says of them, and what to say instead."""

import difflib
import re
from collections.abc import Collection, Sequence

PLACES = {
    "labels": "labels@dataset.labels",
    "definitions": "definitions@prompt.definitions",
    "examples": "examples@prompt.examples",
    "hints": "hints@prompt.hints",
}
"""The groups inside another group, by their short names, as Hydra reads them."""
EXTRAS = {
    "joblib": "joblib",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
    "ray": "ray",
    "optuna": "optuna",
}
"""The options of hydra/launcher and hydra/sweeper that an extra brings."""
_UNKNOWN = re.compile(r"Could not (?:override|delete from config\.) '([^']+)'")
_PLUGIN = re.compile(r"Could not find '(hydra/(?:launcher|sweeper))/(\w+)'")


def unknown_key(message: str) -> str | None:
    """The key that Hydra has not found; None where its message is about something else."""
    found = _UNKNOWN.search(message)
    return found[1].partition("@")[0] if found else None


def missing_extra(message: str) -> str | None:
    """What brings the launcher or sweeper that Hydra has not found; None: it is not that."""
    found = _PLUGIN.search(message)
    extra = EXTRAS.get(found[2]) if found else None
    if found is None or extra is None:
        return None
    return f"{found[1]}={found[2]}: needs the extra {extra}: pip install 'chmed-ner[{extra}]'"


def nearest(name: str, known: Collection[str], *, most: int = 3) -> list[str]:
    """The `known` keys most like `name`: of the same last part, of its node, then of any node."""
    node, _, last = name.rpartition(".")
    same = [key for key in known if key.rpartition(".")[2] == last]
    inside = [key for key in known if node and key.startswith(f"{node}.")]
    alike = difflib.get_close_matches(name, inside or known, most, 0.7)
    by_last = {key.rpartition(".")[2]: key for key in known if key not in inside}
    similar = [by_last[each] for each in difflib.get_close_matches(last, by_last, most, 0.8)]
    return list(dict.fromkeys([*same, *alike, *similar]))[:most]


def no_such_key(key: str, choice: str, known: Sequence[str]) -> str:
    """The message for a `key` that the configuration with `choice` (regime=lora, "" at the root)
    does not have; `known` are the keys that it has."""
    listed = f"chmed-ner run --help {choice}".strip()
    with_choice = f" with {choice}" if choice else ""
    root = key.partition(".")[0]
    if root in known and root != key:
        return f"{key}: {root} is null here: the chosen method uses none; leave the key out"
    found = nearest(key, known)
    inside = [each for each in known if each.rpartition(".")[0] == key.rpartition(".")[0]]
    names = f"nearest: {', '.join(found)}" if found else f"the keys are {', '.join(inside)}"
    return f"{key}: there is no such key{with_choice}; {names} (all: {listed})"
