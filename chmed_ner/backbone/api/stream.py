"""Many questions to an endpoint: a constant number under way, answers handed over as they come in,
money set aside before it is spent.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from chmed_ner.backbone.api.cost import Budget
from chmed_ner.backbone.api.faults import GivenUp
from chmed_ner.backbone.api.workers import Workers, on_interrupt
from chmed_ner.errors import BudgetError
from chmed_ner.model.asking import Reply, Request

log = logging.getLogger(__name__)


@dataclass
class Question:
    """One request body and the sentences it is asked for; `most` is the most it can cost (USD)."""

    key: str
    body: Mapping[str, Any]
    most: float
    requests: list[Request] = field(default_factory=list)


Settled = tuple[Question, Reply]


class Asking:
    """The questions that wait, those under way, and why no more may be asked."""

    def __init__(
        self,
        questions: Sequence[Question],
        answer: Callable[[Question], Reply],
        price: Callable[[Reply], float],
        budget: Budget,
        concurrency: int,
        stopping: Event,
    ) -> None:
        self.waiting = deque(questions)
        self.price = price
        self.budget = budget
        self.concurrency = concurrency
        self.stopping = stopping
        self.workers = Workers(answer, concurrency)
        self.under_way = 0
        self.answered = 0
        self.opened = False
        self.failure: BaseException | None = None
        self.interrupted = False
        self._said = False

    def answers(self) -> Iterator[list[Settled]]:
        """What has come in, again and again until nothing is under way; then why it ended early.

        Raises the first failure of a question, KeyboardInterrupt after SIGINT or SIGTERM, and
        BudgetError when the next question does not fit into the budget.
        """
        with self.workers, on_interrupt(self._interrupt):
            while self._submit():
                settled = [self._settle(*each) for each in self.workers.finished()]
                found = [each for each in settled if each]
                if found:
                    self.answered += len(found)
                    yield found
                self._say_that_it_stops()
        self._conclude()

    def open_up(self) -> None:
        """The first question has got through, be it to a server that is busy: ask more at once."""
        if not self.opened:
            self.opened = True
            self.workers.wake()

    def _submit(self) -> bool:
        """Ask as many as may be under way (the first one alone); is anything under way?"""
        most = self.concurrency if self.opened or self.answered else 1
        while (
            self.waiting
            and self.under_way < most
            and not self.stopping.is_set()
            and self.budget.allows(self.waiting[0].most)
        ):
            self.budget.promise(self.waiting[0].most)
            self.workers.submit(self.waiting.popleft())
            self.under_way += 1
        return self.under_way > 0

    def _settle(self, question: Question, outcome: Reply | BaseException) -> Settled | None:
        """Count what a question has cost; None for one that was not answered."""
        self.under_way -= 1
        paid = self.price(outcome) if isinstance(outcome, Reply) else 0.0
        self.budget.settle(question.most, paid)
        if isinstance(outcome, Reply):
            return question, outcome
        if not isinstance(outcome, GivenUp) and self.failure is None:
            self.failure = outcome
            self.stopping.set()
        return None

    def _interrupt(self) -> None:
        """Called by a signal: ask no more."""
        self.interrupted = True
        self.stopping.set()
        self.workers.wake()

    def _say_that_it_stops(self) -> None:
        if self.stopping.is_set() and self.under_way and not self._said:
            self._said = True
            log.warning(
                "stopping: %d answers are under way and waited for%s", self.under_way,
                "; interrupt again to give them up" if self.interrupted else "",
            )  # fmt: skip

    def _conclude(self) -> None:
        if self.failure is not None:
            raise self.failure
        if self.interrupted:
            raise KeyboardInterrupt
        if self.waiting:
            raise BudgetError(
                f"backbone.budget_usd={self.budget.limit}: {self.budget.spent:.6f} USD are spent, "
                f"the next question may cost {self.waiting[0].most:.6f}, {len(self.waiting)} are "
                "left. What was answered is kept: go on with resume=<this run> and a larger "
                "backbone.budget_usd, which counts for the whole run"
            )
