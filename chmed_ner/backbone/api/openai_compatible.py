"""Any endpoint that speaks OpenAI's protocol; its answers are cached, counted and streamed."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chmed_ner.backbone.api.cost import (
    FREE,
    AnswerCache,
    Budget,
    Estimate,
    Kept,
    Tokens,
    likely_tokens,
    most_tokens,
    request_key,
)
from chmed_ner.backbone.api.endpoint import Endpoint
from chmed_ner.backbone.api.messages import Wording, usage
from chmed_ner.backbone.api.purchase import Purchase
from chmed_ner.backbone.api.stream import Asking, Question
from chmed_ner.entities import Completion, follows, sent
from chmed_ner.errors import EstimateOnly
from chmed_ner.machine import duration
from chmed_ner.model import Answered, Reply, Request
from chmed_ner.prompt import said

AT_ONCE = 256
"""Answers from the cache that are handed over together."""

log = logging.getLogger(__name__)


class OpenAICompatible(Endpoint):
    """A model at an address; nothing is asked before its generator is."""

    def generator(self, *, stop: Sequence[str], seed: int) -> "ApiGenerator":
        """Ready to ask; `backbone.seed` is sent, in `run` and `predict` alike, not `seed`."""
        self.check()
        return ApiGenerator(self, stop)


class ApiGenerator:
    """A generator that streams."""

    batch_size = 1

    def __init__(self, endpoint: Endpoint, stop: Sequence[str]) -> None:
        self.endpoint = endpoint
        self.wording = Wording(endpoint, tuple(stop))
        self.cache = AnswerCache(Path(endpoint.cache) if endpoint.cache else None)
        self._prices = endpoint.prices or FREE
        self._told: set[str] = set()

    def length(self, request: Request) -> int:
        """About as many tokens as the prompt has."""
        return likely_tokens(request.text)

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        some = [each for found in self.stream(batch, ()) for each in found]
        replies = {(each.request.split, each.request.id): each.reply for each in some}
        return [replies[request.split, request.id] for request in batch]

    def most_seconds(self, batches: Sequence[Sequence[Request]]) -> float:
        """As if every question took the time-out."""
        return self.endpoint.timeout * sum(map(len, batches)) / self.endpoint.concurrency

    def close(self) -> None:
        """Nothing is held: connections last as long as `stream`."""

    def stream(
        self, requests: Sequence[Request], before: Iterable[Completion]
    ) -> Iterator[list[Answered]]:
        """Every request's answer, as they come in; those from the cache first, with 0 seconds.

        The completions `before` count towards the budget. The first question starts alone: a
        wrong key costs one request. Before an error is raised, what is under way is waited for.
        """
        kept = [(each, self.cache.found(each.key)) for each in self._questions(requests)]
        known = [(question, found) for question, found in kept if found]
        unknown = [question for question, found in kept if not found]
        estimate = self._estimate([question.requests[0] for question in unknown])
        log.info("%d questions are answered in the cache; left: %s", len(known), estimate)
        try:
            if self.endpoint.estimate_only:
                raise EstimateOnly(f"backbone.estimate_only: nothing was asked; left: {estimate}")
            budget = Budget(self.endpoint.budget_usd, self._prices.paid(before))
            budget.spent += sum(self._usd(found.reply) for _, found in known if found.seconds)
            for start in range(0, len(known), AT_ONCE):
                yield from self._handed_over(known[start : start + AT_ONCE])
            if unknown:
                self.cache.check()
                yield from self._ask(unknown, budget)
        finally:
            for question, _ in known:
                self.cache.claims.release(question.key)

    def _usd(self, reply: Reply) -> float:
        return self._prices.usd(reply.prompt_tokens, reply.completion_tokens)

    def _questions(self, requests: Sequence[Request]) -> list[Question]:
        """What is to be asked; sentences with the same question share it, if answers are kept."""
        questions: dict[str, Question] = {}
        for request in requests:
            body = self.wording.body(request)
            key = request_key(self.endpoint.url, body, self.endpoint.revision)
            name = key if self.cache.root else f"{request.split} {request.id}"
            if name not in questions:
                most = self._prices.usd(self._most_prompt(request), request.max_new_tokens)
                questions[name] = Question(key, body, most)
            questions[name].requests.append(request)
        return list(questions.values())

    def _most_prompt(self, request: Request) -> int:
        return most_tokens(f"{self.endpoint.system or ''}{request.text}")

    def _estimate(self, asked: Sequence[Request]) -> Estimate:
        system = likely_tokens(self.endpoint.system) if self.endpoint.system else 0
        return Estimate(
            requests=len(asked),
            prompt_tokens=sum(system + likely_tokens(request.text) for request in asked),
            most_completion_tokens=sum(request.max_new_tokens for request in asked),
            prices=self.endpoint.prices,
        )

    def _ask(self, questions: Sequence[Question], budget: Budget) -> Iterator[list[Answered]]:
        from chmed_ner.backbone.api.client import Client

        client = Client(self.endpoint, self.wording.read)
        purchase = Purchase(
            client, self.cache, budget, self._prices, self._read, self._tokens, self._tell
        )
        purchase.begin(questions)
        first = last = time.perf_counter()
        try:
            asking = Asking(client, deque(questions), purchase.answer, purchase.price, budget)
            for settled in asking.answers():
                now = time.perf_counter()
                share = max(1e-6, (now - last) / len(settled))
                if last == first:
                    left = duration(share * (len(questions) - 1) / self.endpoint.concurrency)
                    log.info("the first answer took %.1f s: about %s are left", share, left)
                last = now
                yield from self._handed_over(
                    [(each, Kept(kept.reply, kept.seconds and share)) for each, kept in settled]
                )
        finally:
            purchase.end()

    def _read(self, answer: Any, request: Request) -> Reply:
        """The reply, marked if it ended and is none that the grammar it was sent with allows."""
        reply = self.wording.read(answer)
        if request.grammar is None or reply.stop != "end":
            return reply
        grammar, (text, _) = sent(request.grammar), said(reply.text, "")
        held = follows(text, grammar) or follows(text.strip(), grammar)
        return replace(reply, off_grammar=not held)

    def _tokens(self, answer: Any, request: Request) -> Tokens:
        """What an answer is paid by; where a figure is missing and there is a price, the most."""
        prompt, completion = usage(answer)
        priced = self.endpoint.prices is not None
        if prompt is None or completion is None:
            self._tell(
                "%s reports %s: tokens are %s", self.endpoint.url,
                "no usage" if (prompt, completion) == (None, None) else "half a usage",
                "counted as the most they can be" if priced else "unknown and counted as 0",
            )  # fmt: skip
        if priced and prompt is None:
            prompt = self._most_prompt(request)
        if priced and completion is None:
            completion = request.max_new_tokens
        return prompt or 0, completion or 0

    def _tell(self, message: str, *values: object) -> None:
        """Warn, of each kind once a run."""
        if message not in self._told:
            self._told.add(message)
            log.warning(message, *values)

    def _handed_over(self, some: Sequence[tuple[Question, Kept]]) -> Iterator[list[Answered]]:
        """The answers for every sentence that asks for them, recorded once the caller has them;
        those of no use are not kept for another run.

        Only the first of the sentences that share a question took time.
        """
        yield [
            Answered(request, kept.reply, kept.seconds if request is question.requests[0] else 0.0)
            for question, kept in some
            for request in question.requests
        ]
        for question, kept in some:
            if kept.reply.off_grammar:
                self._tell(
                    "%s does not hold its answers to the grammar that it is sent "
                    "(backbone.grammar=%s), as in %.80r: they are read, and counted as off_grammar",
                    self.endpoint.url, self.endpoint.grammar, kept.reply.text,
                )  # fmt: skip
            self.cache.record(
                question.key,
                keep=kept.reply.stop != "end" or question.requests[0].usable(kept.reply),
            )
