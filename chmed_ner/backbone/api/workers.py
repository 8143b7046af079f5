"""Threads that ask, and an interruption that waits for their answers."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
Handler = Callable[[int, FrameType | None], object] | int | None
"""What `signal` takes and gives back."""


class Workers(Generic[Job, Result]):
    """`count` threads that call `work` on what is submitted.

    They are daemons, unlike those of an executor: a program that is interrupted twice can end while
    a server keeps them waiting.
    """

    def __init__(self, work: Callable[[Job], Result], count: int) -> None:
        self.work = work
        self.count = count
        self._todo: SimpleQueue[Job | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[Job, Result | BaseException] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Workers[Job, Result]":
        """Itself; threads start as they are needed."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the threads end after what they are doing."""
        for _ in self._threads:
            self._todo.put(None)

    def submit(self, job: Job) -> None:
        """Have `job` done by the next free thread."""
        if len(self._threads) < self.count:
            thread = threading.Thread(target=self._run, daemon=True)
            thread.start()
            self._threads.append(thread)
        self._todo.put(job)

    def wake(self) -> None:
        """Make `finished` return; may be called from a signal handler."""
        self._done.put(None)

    def finished(self) -> list[tuple[Job, Result | BaseException]]:
        """What has come in since the last call, at least one result unless `wake` was called."""
        found = [self._done.get()]
        with contextlib.suppress(Empty):
            while True:
                found.append(self._done.get_nowait())
        return [each for each in found if each is not None]

    def _run(self) -> None:
        while (job := self._todo.get()) is not None:
            try:
                self._done.put((job, self.work(job)))
            except BaseException as error:  # the thread that reads `finished` decides
                self._done.put((job, error))


@contextlib.contextmanager
def on_interrupt(call: Callable[[], None]) -> Iterator[None]:
    """`call` on the first SIGINT or SIGTERM; a second one does what it did before.

    Nothing changes outside the main thread, or where a program handles signals itself.
    """
    usual: dict[int, Handler] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    before: dict[int, Handler] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        before.clear()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        restore()
        call()

    if threading.current_thread() is threading.main_thread():
        for number, handler in usual.items():
            if signal.getsignal(number) == handler:
                before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
