"""What answers cost: prices, an estimate beforehand, a budget that is never exceeded, and a cache
of answers, shared between runs, so that nothing is paid for twice.

The cache has a file an answer, `<cache>/api/<two digits>/<key>.json`. An answer that no run has
recorded yet is called `<key>.unrecorded.json`: a process that is killed between the two leaves it
behind, and the run that finds it counts its price.
"""

import hashlib
import json
import logging
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chmed_ner.entities import Completion
from chmed_ner.files import write_json
from chmed_ner.model import Reply

log = logging.getLogger(__name__)

FRAMING = 32
"""Tokens that a chat template may put around a prompt."""


@dataclass(frozen=True)
class Prices:
    """US dollars per million tokens, as the provider's price list gives them."""

    prompt: float
    completion: float

    def usd(self, prompt_tokens: float, completion_tokens: float) -> float:
        """The price of so many tokens."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6

    def paid(self, completions: Iterable[Completion]) -> float:
        """What a run paid for its completions: those from the cache (0 seconds) cost nothing."""
        return math.fsum(
            self.usd(each.prompt_tokens, each.completion_tokens)
            for each in completions
            if each.seconds > 0
        )


FREE = Prices(0.0, 0.0)


def most_tokens(text: str) -> int:
    """No byte-level tokenizer makes more tokens of `text` than this, a chat template included."""
    return len(text.encode("utf-8", "replace")) + FRAMING


def likely_tokens(text: str) -> int:
    """About as many tokens as common tokenizers make: 1.2 a Chinese character, 0.3 another."""
    chinese = sum(character >= "⺀" for character in text)
    return round(1.2 * chinese + 0.3 * (len(text) - chinese)) + 8


@dataclass(frozen=True)
class Estimate:
    """What `requests` questions will take, before the first is asked."""

    requests: int
    prompt_tokens: int
    most_completion_tokens: int
    prices: Prices | None

    def __str__(self) -> str:
        """In a line; the lower price is for empty answers, the upper for all at their cap."""
        line = (
            f"{self.requests} requests, about {self.prompt_tokens:,} prompt tokens, at most "
            f"{self.most_completion_tokens:,} completion tokens"
        )
        if self.prices is None:
            return f"{line}; no price is given (backbone.prompt_price, backbone.completion_price)"
        low = self.prices.usd(self.prompt_tokens, 0)
        high = self.prices.usd(self.prompt_tokens, self.most_completion_tokens)
        return f"{line}: about {low:.4f} to {high:.4f} USD"


class Budget:
    """US dollars spent and promised, against a limit (None: no limit).

    A question is asked only if the limit would hold even if it, and all that are under way, cost
    their most.
    """

    def __init__(self, limit: float | None, spent: float) -> None:
        self.limit = limit
        self.spent = spent
        self._promised: list[float] = []

    def allows(self, most: float) -> bool:
        """Is there room for a question that costs at most `most`?"""
        needed = math.fsum([self.spent, most, *self._promised])
        return self.limit is None or needed <= self.limit

    def promise(self, most: float) -> None:
        """Set `most` aside."""
        self._promised.append(most)

    def settle(self, most: float, cost: float) -> None:
        """A question for which `most` was set aside has cost `cost`."""
        self._promised.remove(most)
        self.spent += cost


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
        for path in self._files(key):
            if not path.is_file():
                continue
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                recorded = path.name == f"{key}.json"
                return Kept(
                    Reply(**content["reply"]), 0.0 if recorded else float(content["seconds"])
                )
            except (OSError, ValueError, TypeError, KeyError) as error:
                log.warning("%s: not an answer (%s); it is asked for again", path, error)
        return None

    def put(
        self, key: str, url: str, body: Mapping[str, Any], reply: Reply, seconds: float
    ) -> None:
        """Keep an answer that no run has recorded yet."""
        for path in self._files(key)[1:]:
            content = {"url": url, "request": body, "reply": asdict(reply), "seconds": seconds}
            assert self.root is not None
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(path, content, private=True)

    def record(self, key: str) -> None:
        """Note that a run has recorded the answer."""
        for path in self._files(key)[1:]:
            with suppress(FileNotFoundError):  # recorded before, maybe by another run
                path.replace(path.with_name(f"{key}.json"))

    def _files(self, key: str) -> list[Path]:
        """Where an answer is kept that a run has recorded, and one that none has yet."""
        names = (f"{key}.json", f"{key}.unrecorded.json")
        return [self.root / key[:2] / name for name in names] if self.root else []
