"""A generator whose answers come from an endpoint: cached, counted, streamed."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from chmed_ner.backbone.api.cache import AnswerCache, Kept, request_key
from chmed_ner.backbone.api.client import ApiClient
from chmed_ner.backbone.api.cost import FREE, Budget, Estimate, Prices, likely_tokens, most_tokens
from chmed_ner.backbone.api.faults import RefusedByFilter
from chmed_ner.backbone.api.messages import Wording
from chmed_ner.backbone.api.stream import Asking, Question
from chmed_ner.entities.types import Completion
from chmed_ner.errors import EstimateOnly
from chmed_ner.machine import duration
from chmed_ner.model.asking import Answered, Reply, Request

AT_ONCE = 256
"""Answers from the cache that are handed over together."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How much is asked at once and in all (US dollars; None is no limit)."""

    concurrency: int
    budget_usd: float | None
    estimate_only: bool


class ApiGenerator:
    """A generator that streams: see `stream`."""

    batch_size = 1

    def __init__(
        self,
        client: ApiClient,
        wording: Wording,
        cache: AnswerCache,
        prices: Prices | None,
        limits: Limits,
        revision: str | None,
    ) -> None:
        self.client = client
        self.wording = wording
        self.cache = cache
        self.prices = prices
        self.limits = limits
        self.revision = revision
        self._without_usage = False

    def length(self, request: Request) -> int:
        """About as many tokens as the prompt has."""
        return likely_tokens(request.text)

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """One reply a request, in order."""
        some = [each for found in self.stream(batch, ()) for each in found]
        replies = {(each.request.split, each.request.id): each.reply for each in some}
        return [replies[request.split, request.id] for request in batch]

    def most_seconds(self, batches: Sequence[Sequence[Request]]) -> float:
        """As if every question took the whole time-out."""
        return self.client.endpoint.timeout * sum(map(len, batches)) / self.limits.concurrency

    def close(self) -> None:
        """Let requests that are still waiting for another attempt give up."""
        self.client.stopping.set()

    def stream(
        self, requests: Sequence[Request], before: Iterable[Completion]
    ) -> Iterator[list[Answered]]:
        """Every request's answer, as answers come in; those from the cache first, with 0 seconds.

        The seconds of the others are their share of the time that passed, as for a batch. `before`
        are the completions that the run has already: they count towards the budget. The first
        question starts alone, so that a wrong key or address costs one request. When it is
        interrupted (KeyboardInterrupt), at the budget (BudgetError) and when a question fails
        (InputError, RunError), what is under way is waited for and handed over first. Where that is
        configured, EstimateOnly is raised before anything is asked.
        """
        every = self._questions(requests)
        kept = {question.key: self.cache.get(question.key) for question in every}
        unknown = [question for question in every if kept[question.key] is None]
        estimate = self._estimate(unknown)
        log.info(
            "%d questions are answered in the cache; left: %s", len(every) - len(unknown), estimate
        )
        if self.limits.estimate_only:
            raise EstimateOnly(f"backbone.estimate_only: nothing was asked; left: {estimate}")
        budget = Budget(self.limits.budget_usd, self._prices.paid(before))
        known = [(each, found) for each in every if (found := kept[each.key]) is not None]
        for start in range(0, len(known), AT_ONCE):
            some = known[start : start + AT_ONCE]
            budget.spent += sum(self._usd(found.reply) for _, found in some if found.seconds)
            yield from self._handed_over(some)
        yield from self._ask(unknown, budget)

    @property
    def _prices(self) -> Prices:
        return self.prices or FREE

    def _usd(self, reply: Reply) -> float:
        return self._prices.usd(reply.prompt_tokens, reply.completion_tokens)

    def _questions(self, requests: Sequence[Request]) -> list[Question]:
        """What is to be asked; sentences with the same question share it, if answers are kept."""
        questions: dict[str, Question] = {}
        for request in requests:
            body = self.wording.body(
                request.prompt, request.max_new_tokens, request.grammar, request.demonstrations
            )
            key = request_key(self.client.endpoint.url, body, self.revision)
            name = key if self.cache.root else f"{request.split} {request.id}"
            if name not in questions:
                prompt = most_tokens(f"{self.wording.system or ''}{request.text}")
                most = self._prices.usd(prompt, request.max_new_tokens)
                questions[name] = Question(key, body, most)
            questions[name].requests.append(request)
        return list(questions.values())

    def _estimate(self, questions: Sequence[Question]) -> Estimate:
        asked = [question.requests[0] for question in questions]
        system = likely_tokens(self.wording.system) if self.wording.system else 0
        return Estimate(
            requests=len(asked),
            prompt_tokens=sum(system + likely_tokens(request.text) for request in asked),
            most_completion_tokens=sum(request.max_new_tokens for request in asked),
            prices=self.prices,
        )

    def _ask(self, questions: Sequence[Question], budget: Budget) -> Iterator[list[Answered]]:
        if questions:
            self.client.connect()
        asking = Asking(
            questions,
            self._answer,
            self._usd,
            budget,
            self.limits.concurrency,
            self.client.stopping,
        )
        self.client.on_problem = asking.open_up
        last = time.perf_counter()
        for settled in asking.answers():
            now = time.perf_counter()
            seconds = max(1e-6, (now - last) / len(settled))
            if asking.answered == len(settled):
                left = seconds * (len(questions) - 1) / self.limits.concurrency
                log.info("the first answer took %.1f s: about %s are left", seconds, duration(left))
            last = now
            yield from self._handed_over([(each, Kept(reply, seconds)) for each, reply in settled])

    def _answer(self, question: Question) -> Reply:
        """One question asked, in a thread; its answer is on disk before anything else happens."""
        began = time.perf_counter()
        try:
            reply = self._metered(self.client.ask(question.body, self.wording.read), question)
        except RefusedByFilter:
            reply = Reply("", "refused", 0, 0)
        seconds = max(1e-6, time.perf_counter() - began)
        self.cache.put(question.key, self.client.endpoint.url, question.body, reply, seconds)
        return reply

    def _metered(self, reply: Reply, question: Question) -> Reply:
        """The reply with tokens; where none are reported and they cost, the most it can be."""
        if reply.prompt_tokens:
            return reply
        if not self._without_usage:
            self._without_usage = True
            log.warning(
                "%s reports no usage: tokens are %s", self.client.endpoint.url,
                "counted as the most they can be" if self.prices else "unknown and counted as 0",
            )  # fmt: skip
        if self.prices is None:
            return reply
        request = question.requests[0]
        prompt = most_tokens(f"{self.wording.system or ''}{request.text}")
        return replace(reply, prompt_tokens=prompt, completion_tokens=request.max_new_tokens)

    def _handed_over(self, some: Sequence[tuple[Question, Kept]]) -> Iterator[list[Answered]]:
        """The answers for every sentence that asks for them, then noted in the cache.

        Only for the first of the sentences that share a question it took time.
        """
        yield [
            Answered(request, kept.reply, kept.seconds if request is question.requests[0] else 0.0)
            for question, kept in some
            for request in question.requests
        ]
        for question, _ in some:
            self.cache.record(question.key)
