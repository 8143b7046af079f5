"""Many questions to an endpoint: a constant number under way, answers handed over as they come in,
money set aside before it is spent.
"""

import asyncio
import contextlib
import logging
import signal
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.api.cost import Budget
from chmed_ner.errors import BudgetError
from chmed_ner.model.asking import Reply, Request

if TYPE_CHECKING:
    from chmed_ner.backbone.api.client import Client

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
    """The questions that wait and those under way, in an event loop in a thread of its own.

    The thread is a daemon: a program that is interrupted twice can end while a server keeps it
    waiting. Only the loop's thread changes what is here, but for the queue.
    """

    def __init__(
        self,
        client: "Client",
        questions: Sequence[Question],
        answer: Callable[[Question], Awaitable[Reply]],
        price: Callable[[Reply], float],
        budget: Budget,
    ) -> None:
        self.client = client
        self.waiting = deque(questions)
        self.answer = answer
        self.price = price
        self.budget = budget
        self.under_way: dict[asyncio.Task[Reply], Question] = {}
        self.opened = False
        self.interrupted = False
        self.failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._settled: SimpleQueue[Settled | None] = SimpleQueue()

    def answers(self) -> Iterator[list[Settled]]:
        """What has come in, again and again until nothing is under way; then why it ended early.

        Raises the first failure of a question, KeyboardInterrupt after SIGINT or SIGTERM, and
        BudgetError when the next question does not fit into the budget.
        """
        with _on_interrupt(lambda: self._call(self._interrupt)):
            threading.Thread(target=self._run, daemon=True).start()
            try:
                while found := self._come_in():
                    yield found
            finally:
                self._call(self._give_up)
        self._conclude()

    def _come_in(self) -> list[Settled]:
        """All answers that are there, at least one; none when no more will come."""
        found = [self._settled.get()]
        with contextlib.suppress(Empty):
            while found[-1] is not None:
                found.append(self._settled.get_nowait())
        if found[-1] is None:
            self._settled.put(None)  # for the next call
        return [each for each in found if each is not None]

    def _call(self, what: Callable[[], None]) -> None:
        """Have the loop's thread do something; nothing once it has ended."""
        with contextlib.suppress(RuntimeError):
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
        self.client.on_problem = self._open_up
        try:
            while self._ask_more():
                await self._changed.wait()
                self._changed.clear()
        finally:
            await self.client.close()

    def _ask_more(self) -> bool:
        """Ask as many as may be under way (the first one alone); is anything under way?"""
        most = self.client.endpoint.concurrency if self.opened else 1
        while (
            self.waiting
            and len(self.under_way) < most
            and not self.client.stopping
            and self.budget.allows(self.waiting[0].most)
        ):
            question = self.waiting.popleft()
            self.budget.promise(question.most)
            task = asyncio.ensure_future(self.answer(question))
            self.under_way[task] = question
            task.add_done_callback(self._settle)
        return bool(self.under_way)

    def _settle(self, task: "asyncio.Task[Reply]") -> None:
        """Hand an answer over and count what it has cost; a failure ends the asking."""
        question = self.under_way.pop(task)
        failure = None if task.cancelled() else task.exception()
        reply = None if task.cancelled() or failure else task.result()
        self.budget.settle(question.most, self.price(reply) if reply else 0.0)
        if reply:
            self._settled.put((question, reply))
            self._open_up()
        if failure:
            self.failure = self.failure or failure
            self._stop()
        self._changed.set()

    def _open_up(self) -> None:
        """The first question has got through, be it to a server that is busy: ask more at once."""
        self.opened = True
        self._changed.set()

    def _interrupt(self) -> None:
        self.interrupted = True
        self._stop()

    def _stop(self) -> None:
        """Ask no more; wait only for the questions that the server has."""
        self.client.stopping = True
        for task in self.under_way.keys() - self.client.sending:
            task.cancel()
        if self.client.sending:
            log.warning(
                "stopping: %d answers are under way and waited for%s", len(self.client.sending),
                "; interrupt again to give them up" if self.interrupted else "",
            )  # fmt: skip

    def _give_up(self) -> None:
        """Nobody reads the answers any more."""
        self.client.stopping = True
        for task in self.under_way:
            task.cancel()

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


@contextlib.contextmanager
def _on_interrupt(call: Callable[[], None]) -> Iterator[None]:
    """`call` on the first SIGINT or SIGTERM; a second one does what it did before.

    Nothing changes outside the main thread, or where a program handles signals itself.
    """
    usual: dict[int, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
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
