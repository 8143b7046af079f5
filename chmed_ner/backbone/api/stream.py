"""Many questions to an endpoint: some at once, answers handed over as they come in."""

import asyncio
import logging
import signal
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.api.cost import Budget, Kept
from chmed_ner.errors import BudgetError
from chmed_ner.model import Request

if TYPE_CHECKING:
    from chmed_ner.backbone.api.client import Client

log = logging.getLogger(__name__)

PAUSE = 0.1
"""Seconds before it is looked again whether another process has its answer."""


class NoRoom(Exception):
    """What useless answers have cost leaves no room in the budget to ask the question again."""


@dataclass
class Question:
    """One request body and the sentences it is asked for; `most` is the most it can cost (USD)."""

    key: str
    body: Mapping[str, Any]
    most: float
    requests: list[Request] = field(default_factory=list)


@dataclass(eq=False)
class Asking:
    """Asks questions in an event loop in a thread of its own, which alone changes what is here.

    `answer` gives None for a question that another process is asking: it comes last then.
    The thread is a daemon: a program that is interrupted twice ends while a server is still busy.
    """

    client: "Client"
    waiting: deque[Question]
    answer: Callable[[Question], Awaitable[Kept | None]]
    price: Callable[[Question, Kept], float]
    budget: Budget
    interrupted: bool = False
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._askers: list[asyncio.Task[None]] = []
        self._settled: SimpleQueue[tuple[Question, Kept] | None] = SimpleQueue()  # None: the end

    def answers(self) -> Iterator[list[tuple[Question, Kept]]]:
        """What has come in, again and again until nothing is under way.

        Then raises the first failure of a question, KeyboardInterrupt after SIGINT or SIGTERM,
        BudgetError when the next question does not fit into the budget.
        """
        with _on_interrupt(lambda: self._call(self._interrupt)):
            threading.Thread(target=self._run, daemon=True).start()
            try:
                ended = False
                while not ended:
                    found = [self._settled.get()]
                    while not self._settled.empty():
                        found.append(self._settled.get())
                    ended = found[-1] is None
                    if some := [each for each in found if each is not None]:
                        yield some
            finally:
                self._call(self._give_up)
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

    def _call(self, what: Callable[[], None]) -> None:
        """Have the loop's thread do something; nothing once it has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._ask_all())
        except BaseException as error:  # the thread that reads the answers raises it
            self.failure = self.failure or error
        finally:
            self._settled.put(None)

    async def _ask_all(self) -> None:
        count = min(self.client.endpoint.concurrency, len(self.waiting))
        self._askers = [asyncio.ensure_future(self._ask(bool(n))) for n in range(count)]
        async with self.client:
            await asyncio.wait(self._askers)

    async def _ask(self, later: bool) -> None:
        """Ask one question after the other, from the moment that the first one has got through.

        An asker that the budget stops ends: what is left only shrinks, so that no more than the
        others will ever ask at once.
        """
        if later:
            await self.client.opened.wait()
        while (
            self.waiting and not self.client.stopping and self.budget.allows(self.waiting[0].most)
        ):
            question = self.waiting.popleft()
            self.budget.promise(question.most)
            cost, kept = 0.0, None
            try:
                kept = await self.answer(question)
                if kept is None:
                    self.waiting.append(question)
                else:
                    cost = self.price(question, kept)
                    self._settled.put((question, kept))
            except NoRoom:
                self.waiting.appendleft(question)
                break
            except Exception as error:
                self.failure = self.failure or error
                self._stop()
            finally:
                self.budget.settle(question.most, cost)
            if kept is None and not self.client.stopping:
                await asyncio.sleep(PAUSE)
        self.client.opened.set()

    def _interrupt(self) -> None:
        self.interrupted = True
        self._stop()

    def _stop(self) -> None:
        """Ask no more; wait only for the questions that the server has."""
        self.client.stopping = True
        for task in set(self._askers) - self.client.sending:
            task.cancel()
        if self.client.sending:
            log.warning(
                "stopping: %d answers are under way and waited for%s", len(self.client.sending),
                "; interrupt again to give them up" if self.interrupted else "",
            )  # fmt: skip

    def _give_up(self) -> None:
        """Nobody reads the answers any more; those that are under way still reach the cache."""
        self.client.stopping = True
        for task in set(self._askers) - self.client.sending:
            task.cancel()


@contextmanager
def _on_interrupt(call: Callable[[], None]) -> Iterator[None]:
    """`call` on the first SIGINT or SIGTERM; a second one does what it did before.

    Nothing changes outside the main thread, or where a program handles signals itself.
    """
    usual: dict[int, Any]
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    main = threading.current_thread() is threading.main_thread()
    ours = [number for number in usual if main and signal.getsignal(number) == usual[number]]

    def restore() -> None:
        for number in ours:
            signal.signal(number, usual[number])

    def handle(*_: object) -> None:
        restore()
        call()

    for number in ours:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
