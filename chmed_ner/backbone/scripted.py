"""A backbone without weights, for tests: it answers with the gold answer, with seeded noise."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chmed_ner.backbone.regime import Backbone
from chmed_ner.files import text_sha256
from chmed_ner.knobs import Count, NotNegative, Portion
from chmed_ner.model import Reply, Request

FLAWS = ("drop", "relabel", "invent", "mislabel", "ramble", "repeat", "cut")


@dataclass(frozen=True, kw_only=True)
class Scripted(Backbone):
    """Answers each request with its target, each line spoiled with probability `noise`.

    The noise depends on `seed` and the sentence's id only; `seconds` is slept per batch.
    """

    name: str
    noise: Portion
    seed: int
    batch_size: Count
    seconds: NotNegative

    def checksum(self) -> str:
        """The noise and its seed are all there is."""
        return text_sha256(f"scripted {self.noise} {self.seed}")

    def counter(self) -> Callable[[str], int]:
        """Characters, which it takes for tokens."""
        return len

    def generator(self, *, stop: Sequence[str], seed: int) -> "Scripted":
        """Itself; the noise's own seed counts, not the run's."""
        return self

    def length(self, request: Request) -> int:
        """The prompt's length in characters, which it takes for tokens."""
        return len(request.text)

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        time.sleep(self.seconds)
        return [self._reply(request) for request in batch]

    def most_seconds(self, batches: Sequence[Sequence[Request]]) -> float:
        return self.seconds * len(batches)

    def close(self) -> None:
        """Nothing is held."""

    def _reply(self, request: Request) -> Reply:
        chance = random.Random(f"{self.seed} {request.id}")
        lines = request.target.split("\n") if request.target else []
        spoiled: list[str] = []
        stop = "end"
        for line in lines:
            if chance.random() >= self.noise:
                spoiled.append(line)
                continue
            flaw = chance.choice(FLAWS)
            stop = "length" if flaw == "cut" else stop
            spoiled.extend(_spoil(line, flaw, chance.choice(lines)))
            if flaw == "cut":
                break
        text = "\n".join(spoiled)
        return Reply(text, stop, len(request.text), len(text))


def _spoil(line: str, flaw: str, other: str) -> list[str]:
    """The lines that take `line`'s place."""
    mention, separator, category = line.rpartition("-")
    spoiled = {
        "drop": [],
        "relabel": [f"{mention}{separator}{other.rpartition('-')[2]}"],
        "invent": [f"{mention}〇{separator}{category}"],
        "mislabel": [f"{mention}{separator}？？"],
        "ramble": ["以上是句子里的内容"],
        "repeat": [line, line],
        "cut": [line[: len(line) // 2]],
    }
    return spoiled[flaw]
