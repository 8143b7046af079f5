"""Where things lie: corpora, cache, outputs, configuration; never by the current directory."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """The root of the checkout this package lies in, None when it is installed from a wheel."""
    root = PACKAGE.parent
    return root if (root / "conf" / "config.yaml").is_file() else None


def config_directory() -> Path:
    """The Hydra groups: `conf/` beside the package in a checkout, inside it when installed."""
    return (checkout() or PACKAGE) / "conf"


def sweep_directory() -> Path:
    """The named grids: `experiments/` beside the package in a checkout, inside it if installed."""
    return (checkout() or PACKAGE) / "experiments"


def data_directory() -> Path:
    """The corpora: `CHMED_NER_DATA`, else the user's data directory."""
    return _from_environment("CHMED_NER_DATA") or _user("data") / "corpora"


def cache_directory() -> Path:
    """Converted weights and API answers: `CHMED_NER_CACHE`, else the user's cache directory."""
    return _from_environment("CHMED_NER_CACHE") or _user("cache")


def output_directory() -> Path:
    """Runs and the tracking store: `outputs/` of the checkout, else the user's data directory."""
    root = checkout()
    return root / "outputs" if root else _user("data") / "outputs"


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None


def _user(kind: str) -> Path:
    import platformdirs

    find = platformdirs.user_data_path if kind == "data" else platformdirs.user_cache_path
    return find("chmed_ner", appauthor=False)
