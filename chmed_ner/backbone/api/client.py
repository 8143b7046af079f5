"""One question to an HTTP endpoint, asked until it is answered, refused or given up.

Requests go through the official `openai` client (`api_sender`); when to ask again is decided here.
The key is sent in the `Authorization` header and goes nowhere else: what a server says is cleaned
of it before it is shown.
"""

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from chmed_ner.backbone.api.faults import GivenUp, Passing, cleaned, excerpt, lost, refused
from chmed_ner.errors import RunError

if TYPE_CHECKING:
    from chmed_ner.backbone.api.sender import Sender

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """Where questions go and how patiently.

    `timeout` is the seconds an answer may take; at most `attempts` requests a question, `pause`
    seconds after the first, doubling up to `longest_pause`. A server that asks for a longer pause
    ends the run.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    attempts: int = 8
    pause: float = 1.0
    longest_pause: float = 60.0


class ApiClient:
    """Asks one endpoint, from any number of threads, each with a connection of its own.

    `connect` comes first: it loads the client's libraries, which takes a second, and sends nothing.

    After `stopping` is set no request is sent any more; `on_problem` is called, in the thread that
    met it, for each problem that another attempt may better.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.stopping = threading.Event()
        self.on_problem: Callable[[], None] = lambda: None
        self._sender: Sender | None = None
        self._open_at = self._said_at = 0.0
        self._jitter = random.Random()

    def connect(self) -> None:
        """Make the client; InputError where the environment's proxy cannot be used."""
        from chmed_ner.backbone.api.sender import Sender

        if self._sender is None:
            self._sender = Sender(self.endpoint.url, self.endpoint.key, self.endpoint.timeout)

    def ask(self, body: Mapping[str, Any], read: Callable[[Any], T]) -> T:
        """What `read` makes of the JSON that answers `body`.

        `read` raises ValueError for an answer that is of no use, which is asked for again. Raises
        InputError where the settings are to blame, RunError when the attempts are used up or the
        account is empty, GivenUp after `stopping` was set, RefusedByFilter.
        """
        for attempt in range(1, self.endpoint.attempts + 1):
            self._wait_for_the_others()
            try:
                return read(self._post(body))
            except ValueError as error:
                said = f"{self.endpoint.url}: an answer of no use ({error})"
                problem = Passing(cleaned(said, self.endpoint.key))
            except Passing as error:
                problem = error
            if attempt < self.endpoint.attempts:
                self._pause(attempt, problem)
        raise RunError(
            f"{problem} ({self.endpoint.attempts} attempts, backbone.attempts). What was "
            "answered is kept: resume the run later"
        )

    def _wait_for_the_others(self) -> None:
        """Wait while the server is known to be too busy."""
        while (left := self._open_at - time.monotonic()) > 0:
            if self.stopping.wait(left * (1 + 0.1 * self._jitter.random())):
                raise GivenUp
        if self.stopping.is_set():
            raise GivenUp

    def _pause(self, attempt: int, problem: Passing) -> None:
        """Sleep before the next attempt; when the server is busy, the other threads do too."""
        if self.stopping.is_set():
            raise GivenUp
        longest = self.endpoint.longest_pause
        if problem.wait is not None and problem.wait > longest:
            raise RunError(
                f"{problem}; it asks to wait {problem.wait:g} s, longer than "
                f"backbone.longest_pause={longest:g}. What was answered is kept: resume the run "
                "later"
            )
        backoff = min(longest, self.endpoint.pause * 2 ** (attempt - 1))
        seconds = backoff * (0.5 + 0.5 * self._jitter.random())
        if problem.wait is not None:
            seconds = problem.wait + 0.1 * seconds
        if problem.busy:
            self._open_at = max(self._open_at, time.monotonic() + seconds)
        self._say(problem, seconds, attempt)
        self.on_problem()
        if self.stopping.wait(seconds):
            raise GivenUp

    def _say(self, problem: Passing, seconds: float, attempt: int) -> None:
        """Report a problem, one a second: many questions may meet the same."""
        if time.monotonic() - self._said_at > 1:
            self._said_at = time.monotonic()
            attempts = self.endpoint.attempts
            log.warning(
                "%s; again in %.1f s (attempt %d of %d)", problem, seconds, attempt + 1, attempts
            )

    def _post(self, body: Mapping[str, Any]) -> Any:
        """One request; the JSON of its answer."""
        from chmed_ner.backbone.api.sender import LostError

        assert self._sender is not None
        url, key = self.endpoint.url, self.endpoint.key
        try:
            answer = self._sender.send(json.dumps(body).encode("ascii"))
        except LostError as error:
            raise lost(error.__cause__ or error, url, key) from None
        if answer.status != 200:
            raise refused(answer.status, answer.headers, answer.body, url, key)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            text = cleaned(f"{url}: an answer that is not JSON ({excerpt(answer.body)!r})", key)
            raise Passing(text) from None
