"""The answer formats: `GroupedJson` is defined in `grouped_json.py`, so no list names it."""

import importlib
import re
from typing import Any


def __getattr__(name: str) -> Any:
    """The format of this name."""
    module = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    try:
        return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    except ImportError:
        raise AttributeError(f"{__name__} has no {name}: there is no {module}.py") from None
