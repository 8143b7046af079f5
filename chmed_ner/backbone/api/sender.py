"""The official `openai` client, held to what a run promises: no retries but ours, no redirects, and
nothing from the environment except proxies and certificates.

It takes a second to load, so this module is imported when the first question is due.
"""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx2
import openai

from chmed_ner.backbone.api.transport import Transport

CONNECT_SECONDS = 10.0


class Answer(NamedTuple):
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class LostError(Exception):
    """No answer, or a cut one; `__cause__` is the HTTP library's error."""


class Sender:
    """The official client for one address, for any number of threads.

    The headers are ours alone: the key in `Authorization` if there is one, no organisation, project
    or other header that the client would take from the environment, nothing about this machine.
    `send` raises LostError where no whole answer came within `timeout` seconds.
    """

    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        for name in ("openai", "httpx2", "httpcore2"):  # a line a request, and at DEBUG headers
            logging.getLogger(name).setLevel(logging.WARNING)
        self.url = url
        self._client = openai.OpenAI(
            api_key=key or "none",  # this and the next two would come from the environment
            admin_api_key="",
            webhook_secret="",
            base_url=url,
            max_retries=0,
            timeout=httpx2.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)),
            http_client=httpx2.Client(
                transport=Transport(url), trust_env=False, follow_redirects=False
            ),
        )
        added = ["X-Stainless-Retry-Count", "X-Stainless-Read-Timeout"]
        self._headers: dict[str, Any] = {
            **dict.fromkeys([*self._client.default_headers, *added], openai.omit),
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "chmed-ner",
            "Authorization": f"Bearer {key}" if key else openai.omit,
        }

    def send(self, body: bytes) -> Answer:
        """One request, whose body is `body` as it is, and its answer of whatever status."""
        try:
            response = self._client.post(
                self.url,
                cast_to=httpx2.Response,
                content=body,
                options={"headers": self._headers},
            )
        except openai.APIStatusError as error:
            response = error.response
        except openai.APIConnectionError as error:
            raise LostError from error.__cause__
        return Answer(response.status_code, response.headers, response.content)
