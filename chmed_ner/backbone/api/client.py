"""One endpoint through the official `openai` client, which decides when a question is asked again.

The key is sent in the `Authorization` header and goes nowhere else: it is cut out of what a server
says. The libraries take a second to load: this module is imported when a question is due.
"""

import asyncio
import json
import logging
import os
import re
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import openai

from chmed_ner.backbone.api.endpoint import Endpoint
from chmed_ner.errors import InputError, RunError, without_secrets
from chmed_ner.model import Reply

CONNECT_SECONDS = 10.0
LONGEST_PAUSE = 120.0
"""A server that asks for a longer pause, in seconds, ends the run: the official client's rule."""

_KEYLIKE = re.compile(r"\bsk-[\w*.-]{6,}")
_PASSING = (408, 409, 429)  # and 5xx: the official client asks again
_BUSY = (429, 503, 529)  # these concern every question, not only the one that met them
_EMPTY_ACCOUNT = ("insufficient_quota", "insufficient_balance")  # some say it with 429
_FILTERED = ("content_filter", "data_inspection_failed")
_CURES = {
    400: "check backbone.model, backbone.endpoint and backbone.extra_body",
    401: "give a valid key in the environment variable that backbone.api_key_env names",
    403: "the key may not use this model or address; check both",
    404: "check backbone.base_url (most end in /v1), backbone.model and backbone.endpoint",
    422: "check backbone.extra_body and backbone.max_tokens_field",
}
_KEPT_HEADERS = ("Host", "Content-Length", "Accept-Encoding", "Connection")
_OUR_HEADERS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": "chmed-ner",
}

log = logging.getLogger(__name__)


class RefusedByFilter(Exception):
    """The endpoint's content filter did not let the question through; nothing was answered."""


class Client(httpx2.AsyncClient):
    """Asks one endpoint inside one event loop; the official client sends each attempt through it.

    `sending` are the tasks whose question the server has; `opened` is set once it has shown that it
    takes questions. While `stopping`, a task whose question meets a problem is cancelled.
    """

    def __init__(self, endpoint: Endpoint, read: Callable[[Any], Reply]) -> None:
        for name in ("openai", "httpx2", "httpcore2"):  # a line a request, and at DEBUG headers
            logging.getLogger(name).setLevel(logging.WARNING)
        certificates = _certificates() if endpoint.url.startswith("https:") else False
        unlimited = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        try:
            super().__init__(verify=certificates, limits=unlimited, follow_redirects=False)
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

    async def ask(self, body: Mapping[str, Any]) -> Reply | None:
        """The reply to `body`, None where the endpoint's filter refuses it.

        InputError where the settings are to blame; RunError: no attempt or no money is left.
        """
        content = json.dumps(body).encode("ascii")
        try:
            response = await self._official.post(
                self.endpoint.url, cast_to=httpx2.Response, content=content
            )
            return self.answer_in(response.json())
        except RefusedByFilter:
            return None
        except openai.APIError as error:
            problem: Any = getattr(error, "response", error.__cause__)
            raise RunError(
                f"{self._words(problem)} (backbone.attempts={self.endpoint.attempts}). What was "
                "answered is kept: resume the run later"
            ) from None

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
                problem = response = await super().send(request, **how)
            if response.is_success:
                self.answer_in(response.json())
                self.opened.set()
                return response
        except TimeoutError:
            problem = httpx2.ReadTimeout("no whole answer in time (backbone.timeout)")
        except (ValueError, RecursionError) as error:
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
            return
        status, code = problem.status_code, _message(problem)[1]
        if code in _EMPTY_ACCOUNT or status == 402:
            raise RunError(f"{words}: the account has no credit; top it up and resume the run")
        if status in _PASSING or status >= 500:
            return
        if status == 400 and code in _FILTERED:
            self.opened.set()
            raise RefusedByFilter
        if status < 400:
            place = self._cleaned(problem.headers.get("Location", "nowhere"))
            raise InputError(f"{words} and points to {place}; correct backbone.base_url")
        raise InputError(f"{words}; {_CURES.get(status, _CURES[400])}")

    def _words(self, problem: httpx2.Response | BaseException) -> str:
        """What an answer that is none, or an error, says, on one line."""
        if isinstance(problem, httpx2.Response):
            said = f"the server answers {problem.status_code} ({_message(problem)[0]})"
            if "Retry-After" in problem.headers:
                said += f", Retry-After: {problem.headers['Retry-After']}"
        elif isinstance(problem, httpx2.ReadTimeout | httpx2.DecodingError):
            said = str(problem)
        else:
            cause = _root(problem)
            said = f"no answer or a cut one ({type(cause).__name__}: {cause})"
        return self._cleaned(f"{self.endpoint.url}: {said}")

    def _cleaned(self, text: str) -> str:
        """`text` without the key and whatever looks like one."""
        text = text.replace(self._key, "[key]") if self._key else text
        return _KEYLIKE.sub("[key]", without_secrets(text))


def _certificates() -> ssl.SSLContext:
    """Those of REQUESTS_CA_BUNDLE, else of SSL_CERT_FILE, else of the system."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    try:
        if not bundle:
            return httpx2.create_ssl_context()
        if Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise InputError(
            f"REQUESTS_CA_BUNDLE or SSL_CERT_FILE: no certificates there ({error}); name a file in "
            "PEM format"
        ) from None


def _message(response: httpx2.Response) -> tuple[str, str]:
    """What the body of a refusal says, in a line, and its code."""
    try:
        content = response.json()
    except (ValueError, RecursionError):
        content = response.text
    error = content.get("error", content) if isinstance(content, dict) else content
    said, code = error, ""
    if isinstance(error, dict):
        said = error.get("message") or error.get("detail") or error
        code = str(error.get("code") or "").lower()
    return without_secrets(" ".join(str(said).split()))[:300] or "no message", code


def _root(error: BaseException) -> BaseException:
    """The error at the root: those above it repeat the address and each other."""
    while below := error.__cause__ or error.__context__:
        error = below.exceptions[0] if isinstance(below, BaseExceptionGroup) else below
    return error
