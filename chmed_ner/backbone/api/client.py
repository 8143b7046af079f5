"""One endpoint through the official `openai` client, which decides when a question is asked again.

The key is sent in the `Authorization` header and goes nowhere else: it is cut out of what a server
says. The libraries take a second to load: this module is imported when a question is due.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import httpx2
import openai

from chmed_ner.backbone.api.certificates import certificates
from chmed_ner.backbone.api.endpoint import Endpoint
from chmed_ner.backbone.api.verdicts import Verdict, body_of, said, verdict
from chmed_ner.errors import InputError, RunError, without_secrets
from chmed_ner.model import Reply

CONNECT_SECONDS = 10.0
MOST_BYTES = 16 * 2**20
"""No body is read further: such an answer is of no use."""

LONGEST_PAUSE = 120.0
"""A server that asks for a longer pause, in seconds, ends the run: the official client's rule."""

_KEYLIKE = re.compile(r"\bsk-[\w*.-]{6,}")
_PASSING = (408, 409, 429)  # and 5xx: the official client asks again
_BUSY = (429, 503, 529)  # these concern every question, not only the one that met them
_CURES = {
    400: "check backbone.model, backbone.endpoint and backbone.extra_body",
    401: "give a valid key in the environment variable that backbone.api_key_env names",
    403: "the key may not use this model or address; check both",
    404: "check backbone.base_url (most end in /v1), backbone.model and backbone.endpoint",
    422: "check backbone.extra_body and backbone.max_tokens_field",
}
_KEPT_HEADERS = ("Host", "Content-Length", "Accept-Encoding", "Connection")
_OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")
_OUR_HEADERS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": "chmed-ner",
}

log = logging.getLogger(__name__)


class Refused(Exception):
    """The server will not answer this question: its filter's verdict, or it is too long."""


class Client(httpx2.AsyncClient):
    """Asks one endpoint inside one event loop; the official client sends each attempt through it.

    `sending` are the tasks whose question the server has; `opened` is set once it has shown that it
    takes questions. While `stopping`, a task whose question meets a problem is cancelled.
    """

    def __init__(self, endpoint: Endpoint, read: Callable[[Any], Reply]) -> None:
        for name in ("openai", "httpx2", "httpcore2"):  # a line a request, and at DEBUG headers
            logging.getLogger(name).setLevel(logging.WARNING)
        trusted = certificates() if endpoint.url.startswith("https:") else False
        unlimited = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        try:
            super().__init__(verify=trusted, limits=unlimited, follow_redirects=False)
        except (ValueError, ImportError, httpx2.InvalidURL):
            raise InputError(  # without the address, which may hold a password
                "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: the environment names a proxy that cannot "
                "be used; give one like http://HOST:PORT (SOCKS needs the package socksio), or "
                "unset it"
            ) from None
        self.endpoint = endpoint
        self.answer_in = read
        self.sending: set[asyncio.Task[Any] | None] = set()
        self.opened = asyncio.Event()
        self.stopping = False
        self._useless: dict[asyncio.Task[Any] | None, Callable[[Any], None]] = {}
        self._key = endpoint.key()
        self._busy_until = self._said_at = 0.0
        self._official = openai.AsyncOpenAI(
            api_key="none",  # this and the next two would come from the environment
            admin_api_key="",
            webhook_secret="",
            base_url=endpoint.url,
            max_retries=endpoint.attempts - 1,
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
            http_client=self,
        )

    async def ask(self, body: Mapping[str, Any], on_useless: Callable[[Any], None]) -> Any:
        """The JSON of the answer to `body`, which can be read.

        `on_useless` is given each answer with status 200 that cannot be: it may cost money, too.
        Refused: there will be none. InputError where the settings are to blame; RunError: no
        attempt or no money is left.
        """
        task = asyncio.current_task()
        self._useless[task] = on_useless
        content = json.dumps(body).encode("ascii")
        try:
            response = await self._official.post(
                self.endpoint.url, cast_to=httpx2.Response, content=content
            )
            return response.json()
        except openai.APIError as error:
            problem: Any = getattr(error, "response", error.__cause__)
            raise RunError(
                f"{self._words(problem)} (backbone.attempts={self.endpoint.attempts}). What was "
                "answered is kept: resume the run later"
            ) from None
        finally:
            del self._useless[task]

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """One attempt, which `backbone.timeout` ends however slowly the bytes come in.

        The official client lets errors of ours pass, which are final; all else, useless answers
        included, makes it ask again.
        """
        while (left := self._busy_until - time.monotonic()) > 0:
            await asyncio.sleep(left)
        number = 1 + int(request.headers.get("x-stainless-retry-count", 0))
        request.headers = self._bare_headers(request.headers)
        task = asyncio.current_task()
        self.sending.add(task)
        problem: httpx2.Response | Exception
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                problem = response = await self._read(request, **how)
            if response.is_success:
                self.answer_in(response.json())
                self.opened.set()
                return response
        except TimeoutError:
            problem = httpx2.ReadTimeout("no whole answer in time (backbone.timeout)")
        except (ValueError, RecursionError) as error:
            if task in self._useless:
                self._useless[task](body_of(response))
            self._judge(response)
            problem = httpx2.DecodingError(f"an answer of no use ({error})")
        except Exception as error:
            problem = error
        finally:
            self.sending.discard(task)
        self._raise_if_final(problem)
        self.opened.set()
        if self.stopping:
            raise asyncio.CancelledError
        if isinstance(problem, httpx2.Response) and problem.status_code in _BUSY:
            with suppress(ValueError):
                seconds = min(LONGEST_PAUSE, float(problem.headers.get("Retry-After", "")))
                self._busy_until = max(self._busy_until, time.monotonic() + seconds)
        if time.monotonic() - self._said_at > 1:  # many questions may meet the same
            self._said_at = time.monotonic()
            words, attempts = self._words(problem), self.endpoint.attempts
            log.warning("%s; attempt %d of %d", words, number, attempts)
        if isinstance(problem, Exception):
            raise problem
        return problem

    async def _read(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """The response with its whole body, of MOST_BYTES at most."""
        response = await super().send(request, **{**how, "stream": True})
        try:
            pieces, size = [], 0
            async for piece in response.aiter_bytes():
                pieces.append(piece)
                size += len(piece)
                if size > MOST_BYTES:
                    raise httpx2.DecodingError(f"an answer of more than {MOST_BYTES} bytes")
        finally:
            await response.aclose()
        headers = [(n, v) for n, v in response.headers.multi_items() if n not in _OF_THE_BODY]
        return httpx2.Response(
            response.status_code, headers=headers, content=b"".join(pieces), request=request
        )

    def _bare_headers(self, built: httpx2.Headers) -> httpx2.Headers:
        """Ours alone: none that the official client takes from the environment or the machine."""
        kept = {name: built[name] for name in _KEPT_HEADERS if name in built}
        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return httpx2.Headers({**kept, **_OUR_HEADERS, **key})

    def _raise_if_final(self, problem: httpx2.Response | Exception) -> None:
        """Raise an error with its cure where another attempt would meet the same problem."""
        words = self._words(problem)
        if not isinstance(problem, httpx2.Response):
            if "CERTIFICATE_VERIFY_FAILED" in words:
                raise InputError(f"{words}; check backbone.base_url, or set REQUESTS_CA_BUNDLE")
            if isinstance(problem, httpx2.ConnectError) and not self.opened.is_set():
                raise RunError(
                    f"{words}; start the server or correct backbone.base_url, then resume"
                )
            return
        self._judge(problem)
        status = problem.status_code
        if status in _PASSING or status >= 500:
            return
        if status < 400:
            place = self._cleaned(problem.headers.get("Location", "nowhere"))
            raise InputError(f"{words} and points to {place}; correct backbone.base_url")
        raise InputError(f"{words}; {_CURES.get(status, _CURES[400])}")

    def _judge(self, response: httpx2.Response) -> None:
        """Raise what an error, maybe inside an answer, means for the question or the run."""
        found = verdict(response.status_code, body_of(response))
        if found is Verdict.NO_CREDIT:
            raise RunError(
                f"{self._words(response)}: the account has no credit; top it up and resume the run"
            )
        if found is Verdict.REFUSED:
            self.opened.set()
            raise Refused(self._words(response))

    def _words(self, problem: httpx2.Response | BaseException) -> str:
        """What an answer that is none, or an error, says, on one line."""
        if isinstance(problem, httpx2.Response):
            content = body_of(problem)
            message = without_secrets(said(content) or " ".join(str(content).split()))
            line = f"the server answers {problem.status_code} ({message[:300] or 'no message'})"
            if "Retry-After" in problem.headers:
                line += f", Retry-After: {problem.headers['Retry-After']}"
        elif isinstance(problem, httpx2.ReadTimeout | httpx2.DecodingError):
            line = str(problem)
        else:
            cause = _root(problem)
            line = f"no answer or a cut one ({type(cause).__name__}: {cause})"
        return self._cleaned(f"{self.endpoint.url}: {line}")

    def _cleaned(self, text: str) -> str:
        """`text` without the key and whatever looks like one."""
        text = text.replace(self._key, "[key]") if self._key else text
        return _KEYLIKE.sub("[key]", without_secrets(text))


def _root(error: BaseException) -> BaseException:
    """The error at the root: those above it repeat the address and each other."""
    while below := error.__cause__ or error.__context__:
        error = below.exceptions[0] if isinstance(below, BaseExceptionGroup) else below
    return error
