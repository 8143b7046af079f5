"""Answers of paid endpoints on disk, shared between runs, so that nothing is asked twice.

A file an answer, `<cache>/api/<two digits>/<key>.json`, written atomically. An answer that no run
has recorded yet is called `<key>.unrecorded.json`: a process that is killed between the two leaves
it behind, and the run that finds it counts its price.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chmed_ner.files import write_json
from chmed_ner.model.asking import Reply

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """An answer from the cache; `seconds` is 0 once a run has recorded it (and its price)."""

    reply: Reply
    seconds: float


def request_key(url: str, body: Mapping[str, Any], revision: str | None) -> str:
    """SHA-256 over everything that decides the answer; the key to the endpoint is no part of it."""
    content = {"url": url, "body": dict(body), "revision": revision}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


class AnswerCache:
    """The answers below `root`; without a root nothing is kept."""

    def __init__(self, root: Path | None) -> None:
        self.root = root / "api" if root else None

    def get(self, key: str) -> Kept | None:
        """The answer kept under `key`. A broken file is reported and the question asked again."""
        for path, recorded in ((self._path(key), True), (self._path(key, recorded=False), False)):
            if path is None or not path.is_file():
                continue
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                reply = Reply(**content["reply"])
                return Kept(reply, 0.0 if recorded else float(content["seconds"]))
            except (OSError, ValueError, TypeError, KeyError) as error:
                log.warning("%s: not an answer (%s); it is asked for again", path, error)
        return None

    def put(
        self, key: str, url: str, body: Mapping[str, Any], reply: Reply, seconds: float
    ) -> None:
        """Keep an answer that no run has recorded yet."""
        path = self._path(key, recorded=False)
        if path is not None:
            content = {"url": url, "request": body, "reply": asdict(reply), "seconds": seconds}
            write_json(path, content)

    def record(self, key: str) -> None:
        """Note that a run has recorded the answer."""
        path, recorded = self._path(key, recorded=False), self._path(key)
        if path is not None and recorded is not None and path.is_file():
            with suppress(FileNotFoundError):  # another run that found the answer was quicker
                path.replace(recorded)

    def _path(self, key: str, *, recorded: bool = True) -> Path | None:
        if self.root is None:
            return None
        return self.root / key[:2] / f"{key}{'' if recorded else '.unrecorded'}.json"
