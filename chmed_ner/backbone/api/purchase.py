"""Questions asked once by one process at a time, every answer booked, the good ones kept."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.api.cost import AnswerCache, Budget, Kept, Prices, Tokens
from chmed_ner.backbone.api.messages import usage
from chmed_ner.backbone.api.stream import NoRoom, Question
from chmed_ner.model import Reply, Request

if TYPE_CHECKING:
    from chmed_ner.backbone.api.client import Client


@dataclass(eq=False)
class Purchase:
    """What one stream of questions asks and pays.

    `read` makes a reply of an endpoint's JSON, `tokens` what it is paid by, whatever its text;
    `tell` warns.
    """

    client: "Client"
    cache: AnswerCache
    budget: Budget
    prices: Prices
    read: Callable[[Any, Request], Reply]
    tokens: Callable[[Any, Request], Tokens]
    tell: Callable[..., None]

    def __post_init__(self) -> None:
        self._asking: set[str] = set()
        self._over = Event()
        self._useless: dict[str, Tokens] = {}

    def begin(self, questions: Sequence[Question]) -> None:
        """Book what useless answers to these questions have cost before."""
        for question in questions:
            self._book(question.key)

    async def answer(self, question: Question) -> Kept | None:
        """The answer, on disk before anything else happens to it; None where another process is
        asking.

        Refused questions have an answer, too. NoRoom: useless answers have used up the budget.
        """
        key = question.key
        if not self.cache.claims.take(key):
            self.tell("another process is asking some of these questions: its answers are awaited")
            return None
        if found := self.cache.get(key):  # meanwhile
            return found
        self._book(key)
        self._asking.add(key)
        try:
            return await self._asked(question)
        finally:
            self._asking.discard(key)
            if self._over.is_set():  # nobody is left who would record it
                self.cache.claims.release(key)

    def price(self, question: Question, kept: Kept) -> float:
        """What an answer costs beyond the useless ones before it, whose price it holds."""
        useless = self._usd(self._useless.get(question.key, (0, 0)))
        reply = kept.reply
        paid = self._usd((reply.prompt_tokens, reply.completion_tokens)) if kept.seconds else 0.0
        return paid - useless

    def end(self) -> None:
        """Release what is not recorded and no longer asked."""
        self._over.set()
        for key in self._useless.keys() - set(self._asking):
            self.cache.claims.release(key)

    async def _asked(self, question: Question) -> Kept:
        from chmed_ner.backbone.api.client import Refused

        key, request, began = question.key, question.requests[0], time.perf_counter()

        def book(useless: Any) -> None:
            if any(usage(useless)):
                self.cache.add_useless(key, self.tokens(useless, request))
                self._book(key)
                if not self.budget.allows(0.0):
                    raise NoRoom

        try:
            said = await self.client.ask(question.body, book)
            reply, (prompt, completion) = self.read(said, request), self.tokens(said, request)
        except Refused as refusal:
            self.tell("%s: such questions count as refused, the run goes on", refusal)
            reply, (prompt, completion) = Reply("", "refused", 0, 0), (0, 0)
        useless = self._useless[key]
        reply = replace(
            reply, prompt_tokens=prompt + useless[0], completion_tokens=completion + useless[1]
        )
        kept = Kept(reply, max(1e-6, time.perf_counter() - began))
        self.cache.put(key, self.client.endpoint.url, question.body, reply, kept.seconds)
        return kept

    def _book(self, key: str) -> None:
        """Let the budget hold what useless answers to a question have cost so far."""
        before, now = self._useless.get(key, (0, 0)), self.cache.useless(key)
        self._useless[key] = now
        self.budget.spent += self._usd(now) - self._usd(before)

    def _usd(self, tokens: Tokens) -> float:
        return self.prices.usd(*tokens)
