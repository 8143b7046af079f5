"""Whether the hub that models are fetched from can be reached: asked once, before its client tries
again and again."""

import functools
from pathlib import Path

from chmed_ner.errors import first_line

PATIENCE = 10.0
"""Seconds for an answer, whatever it says."""
MIRROR = "name a mirror (HF_ENDPOINT=https://...)"


@functools.cache
def hub_away() -> str:
    """Why the hub cannot be reached; empty where it can.

    Where it cannot, this process uses what it fetched before, and asks for nothing more.
    """
    import httpx2
    from huggingface_hub import constants, get_session

    reason = "HF_HUB_OFFLINE is set"
    if not constants.HF_HUB_OFFLINE:
        try:
            get_session().head(constants.ENDPOINT, timeout=PATIENCE)
            return ""
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            reason = first_line(error)
            constants.HF_HUB_OFFLINE = True
    return f"{constants.ENDPOINT} cannot be reached ({reason})"


def why_away(path_or_id: str | Path) -> str:
    """`hub_away` for a hub id; empty for a folder, which needs no hub."""
    return "" if Path(path_or_id).is_dir() else hub_away()
