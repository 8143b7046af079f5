"""How long things take: said beforehand, and as bars with the time left on a terminal."""

import sys
from typing import Any


def progress(total: int, label: str, unit: str) -> Any:
    """A bar to use in a `with` block; `update(n)` moves it. Silent when nobody watches."""
    from tqdm import tqdm

    return tqdm(
        total=total, desc=label, unit=f" {unit}", disable=not sys.stderr.isatty(), leave=False
    )


def duration(seconds: float) -> str:
    """`seconds` for people: `40 seconds`, `12 minutes`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes"
