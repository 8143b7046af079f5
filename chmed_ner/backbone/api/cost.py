"""What answers cost: prices, an estimate beforehand, a budget that is never exceeded, and a cache
of answers, shared between runs, so that nothing is paid for twice.

The cache has a file an answer, `<cache>/api/<two digits>/<key>.json`. An answer that no run has
recorded yet is called `<key>.unrecorded.json`: a process that is killed between the two leaves it
behind, and the run that finds it counts its price. From before a question is asked until its answer
is recorded, its process holds `<key>.claim`. What useless answers have cost is in `<key>.useless`
until a good one comes, whose price then holds it.
"""

import hashlib
import json
import logging
import math
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chmed_ner.backbone.api.claims import Claims
from chmed_ner.entities import Completion
from chmed_ner.errors import InputError
from chmed_ner.files import write_json
from chmed_ner.model import Reply

log = logging.getLogger(__name__)

FRAMING = 32
"""Tokens that a chat template may put around a prompt."""

Tokens = tuple[int, int]
"""Of prompts and of completions."""


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
    their most: what the answers' caps allow, or, if answers have cost more than that (thoughts that
    a cap does not count), as many times that as the dearest so far.
    """

    def __init__(self, limit: float | None, spent: float) -> None:
        self.limit = limit
        self.spent = spent
        self._promised: list[float] = []
        self._dearest = 1.0

    def allows(self, most: float) -> bool:
        """Is there room for a question that costs at most `most`?"""
        needed = self._dearest * math.fsum([most, *self._promised])
        return self.limit is None or math.fsum([self.spent, needed]) <= self.limit

    def promise(self, most: float) -> None:
        """Set `most` aside."""
        self._promised.append(most)

    def settle(self, most: float, cost: float) -> None:
        """A question for which `most` was set aside has cost `cost`."""
        self._promised.remove(most)
        self.spent += cost
        if most:
            self._dearest = max(self._dearest, cost / most)


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
    """The answers below `root`, shared by processes; without a root nothing is kept."""

    def __init__(self, root: Path | None) -> None:
        self.root = root / "api" if root else None
        self.claims = Claims(self.root)
        self._useless: dict[str, Tokens] = {}

    def check(self) -> None:
        """InputError when nothing can be kept, so that nothing is paid for before that is known."""
        if self.root is None:
            return
        probe = self.root / f"{os.getpid()}.probe.json"
        try:
            write_json(probe, {}, private=True)
            probe.unlink()
        except OSError as error:
            raise InputError(
                f"backbone.cache: nothing can be written to {self.root} ({error.strerror}); make "
                "room or give another folder; backbone.cache=null keeps no answers"
            ) from None

    def found(self, key: str) -> Kept | None:
        """The answer for this process: one that is not recorded only if nobody is about to."""
        kept = self.get(key)
        if kept is None or not kept.seconds:
            return kept
        return self.get(key) if self.claims.take(key) else None

    def useless(self, key: str) -> Tokens:
        """Tokens paid for in vain for a question that is still without an answer."""
        for path in self._files(key)[2:]:
            with suppress(OSError, ValueError, TypeError):
                prompt, completion = json.loads(path.read_text(encoding="utf-8"))
                self._useless[key] = int(prompt), int(completion)
        return self._useless.get(key, (0, 0))

    def add_useless(self, key: str, tokens: Tokens) -> None:
        """Book the tokens of an answer of no use."""
        before = self.useless(key)
        self._useless[key] = before[0] + tokens[0], before[1] + tokens[1]
        for path in self._files(key)[2:]:
            self._write(path, self._useless[key])

    def get(self, key: str) -> Kept | None:
        """The answer kept under `key`. A broken file is reported and the question asked again."""
        for path in self._files(key)[:2]:
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                recorded = path.name == f"{key}.json"
                return Kept(
                    _reply(content["reply"]), 0.0 if recorded else float(content["seconds"])
                )
            except FileNotFoundError:
                continue
            except (OSError, ValueError, TypeError, KeyError) as error:
                log.warning("%s: not an answer (%s); it is asked for again", path, error)
        return None

    def put(
        self, key: str, url: str, body: Mapping[str, Any], reply: Reply, seconds: float
    ) -> None:
        """Keep an answer that no run has recorded yet; its tokens hold those of useless ones.

        What cannot be kept is told, and used all the same.
        """
        for path in self._files(key)[1:2]:
            content = {"url": url, "request": body, "reply": asdict(reply), "seconds": seconds}
            self._write(path, content)
        if self._useless.pop(key, None):
            for path in self._files(key)[2:]:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _write(self, path: Path, content: Any) -> None:
        try:
            write_json(path, content, private=True)
        except OSError as error:
            log.warning("%s: cannot be written (%s); the run goes on", path, error.strerror)

    def record(self, key: str, *, keep: bool = True) -> None:
        """Note that a run has recorded the answer, `keep` it for others, and release the claim."""
        for path in self._files(key)[1:2]:
            with suppress(OSError):  # recorded before, or it could not be written
                path.replace(path.with_name(f"{key}.json")) if keep else path.unlink()
        self.claims.release(key)

    def _files(self, key: str) -> list[Path]:
        """Where an answer is kept that a run has recorded, one that none has yet, and what useless
        ones have cost."""
        names = (f"{key}.json", f"{key}.unrecorded.json", f"{key}.useless")
        return [self.root / key[:2] / name for name in names] if self.root else []


def _reply(kept: dict[str, Any]) -> Reply:
    return Reply(**{**kept, "logprobs": tuple(map(tuple, kept.get("logprobs", ())))})
