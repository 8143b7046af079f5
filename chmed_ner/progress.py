"""Progress bars with the time left, on a terminal only."""

import sys
from typing import Any


def progress(total: int, label: str, unit: str) -> Any:
    """A bar to use in a `with` block; `update(n)` moves it. Silent when nobody watches."""
    from tqdm import tqdm

    return tqdm(
        total=total, desc=label, unit=f" {unit}", disable=not sys.stderr.isatty(), leave=False
    )
